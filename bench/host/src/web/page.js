// Tables sort by the button in a column's heading, numbers as numbers; a search field keeps the rows whose first cell has its text.
for (const table of document.querySelectorAll("table.sorts")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach(other => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const text = row => row.cells[column].textContent.trim();
      // "< 52" sorts as 52, "2.50 %" as 2.5; what is no number, and what is missing, stands last.
      const value = row => Number(text(row).replaceAll(",", "").replace(/^< /, "").replace(/ ?%$/, "") || "x");
      const order = (a, b) => {
        const [x, y] = [value(a), value(b)];
        if (Number.isNaN(x) && Number.isNaN(y)) return (up ? 1 : -1) * text(a).localeCompare(text(b), "en", { numeric: true });
        if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) ? 1 : -1;
        return up ? x - y : y - x;
      };
      table.tBodies[0].append(...[...table.tBodies[0].rows].sort(order));
    });
  });
}
for (const input of document.querySelectorAll("input[data-filters]")) {
  const table = document.getElementById(input.dataset.filters);
  input.addEventListener("input", () => {
    for (const row of table.tBodies[0].rows) {
      row.hidden = !row.cells[0].textContent.includes(input.value);
    }
  });
}
