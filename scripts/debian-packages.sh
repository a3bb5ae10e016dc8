#!/usr/bin/env bash
# usage: debian-packages.sh RELEASE FOLDER PACKAGE...
# Unpacks packages of a Debian release (bookworm, trixie) under FOLDER/root, without what they depend on, for tests that need
# programs of another machine. Nothing is installed, root is not needed, and a package that is there already is left alone.
# apt keeps its lists and settings for this in FOLDER/apt; the mirror and proxies are those of the machine's apt.
set -euo pipefail

die() {
    printf 'debian-packages: %s\n' "$*" >&2
    exit 1
}
(($# > 2)) || die "usage: debian-packages.sh RELEASE FOLDER PACKAGE..."
release=$1
mkdir -p "$2/apt" "$2/root" "$2/unpacked"
folder=$(cd "$2" && pwd)
shift 2

exec {lock}>"$folder/lock"
flock "$lock"
missing=()
for package; do
    [[ -e $folder/unpacked/$package ]] || missing+=("$package")
done
((${#missing[@]})) || exit 0

command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || die "apt-get and dpkg-deb are needed: this works on Debian"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[[ -e $keyring ]] || die "the package debian-archive-keyring is missing"

# The mirror of the machine's own release, which has the others, too. Updates and security fixes of a release have names with a dash.
mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
    awk '$2 !~ /[-\/]/ && $3 == "main" && !found { print $1; found = 1 }')
[[ -n $mirror ]] || die "apt's sources name no mirror of Debian"

apt=$folder/apt
mkdir -p "$apt"/{lists/partial,cache/archives/partial,packages}
: >"$apt/status"
echo "deb [arch=amd64 signed-by=$keyring] $mirror $release main" >"$apt/sources.list"
{
    apt-config dump | grep -E '^Acquire::((http|https|ftp)::|ForceIPv|Check-Valid-Until)' || true
    cat <<SETTINGS
Dir::State "$apt";
Dir::State::status "$apt/status";
Dir::Cache "$apt/cache";
Dir::Etc::Main "/dev/null";
Dir::Etc::Parts "/dev/null";
Dir::Etc::SourceList "$apt/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
APT::Architecture "amd64";
APT::Architectures "amd64";
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::Retries "3";
SETTINGS
} >"$apt/apt.conf"
export APT_CONFIG=$apt/apt.conf
apt-get update -qq

for package in "${missing[@]}"; do
    # A package that only names the current kernel stands for that kernel.
    kernel=$(apt-cache show --no-all-versions "$package" | sed -n 's/^Depends: \(linux-image-[0-9][^ ,]*\).*/\1/p')
    echo "debian-packages: unpacking ${kernel:-$package} of $release" >&2
    rm -f "$apt/packages"/*.deb
    (cd "$apt/packages" && apt-get download -qq "${kernel:-$package}")
    dpkg-deb --extract "$apt/packages"/*.deb "$folder/root"
    rm -f "$apt/packages"/*.deb
    touch "$folder/unpacked/$package"
done
