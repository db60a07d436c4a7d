# Sourced by scripts that fetch from another of Debian's suites.

# The mirrors of Debian's own suites, as apt knows them in whatever form they
# are written, without that of the security updates, which has no unstable.
# Where there are no package lists, their names must do instead of labels.

mirrors()
{
    codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-stable}")

    apt-get indextargets --format \
        '$(ORIGIN)|$(LABEL)|$(RELEASE)|$(COMPONENT)|$(REPO_URI)' \
        'Created-By: Packages' \
    | awk -F '|' -v codename="$codename" '
        $1 == "Debian" && $2 == "Debian" { print 1, $5 }
        $1 !~ /^[A-Za-z]/ && $3 == codename && $4 == "main" { print 2, $5 }' \
    | sort -s -k 1,1 | cut -d ' ' -f 2 | awk '!seen[$0]++'
}
