// Tables sort by the heading that is clicked, numbers as numbers; the search field keeps the rows that contain its text.
for (const table of document.querySelectorAll("table.sorts")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.addEventListener("click", () => {
    const up = head.getAttribute("aria-sort") !== "ascending";
    heads.forEach(other => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const text = row => row.cells[column].textContent;
    const value = row => Number(text(row).replaceAll(",", ""));
    const order = (a, b) => {
      const difference = value(a) - value(b);
      return Number.isNaN(difference) ? text(a).localeCompare(text(b), "en", { numeric: true }) : difference;
    };
    const rows = [...table.tBodies[0].rows].sort((a, b) => up ? order(a, b) : order(b, a));
    table.tBodies[0].append(...rows);
  }));
}
const filter = document.getElementById("filter");
if (filter) filter.addEventListener("input", () => {
  for (const row of document.querySelector("#results tbody").rows) {
    row.hidden = !row.cells[0].textContent.includes(filter.value);
  }
});
