#!/usr/bin/env bash
# Installs clients that judge the service in the tests and are no packages of Debian, below
# target/clients: imapflow, playwright-core and axe-core (Debian's Chromium judges the web pages) with npm, IMAPClient with pip. npm and pip come from Debian where they are missing.
set -euo pipefail
cd "$(dirname "$0")/.."
imapflow=1.7.8
playwright=1.65.1
axe=4.14.1
imapclient=3.0.1
here=target/clients

has() {
    grep -qs "\"version\": \"$2\"" "$here/node_modules/$1/package.json"
}

if ! has imapflow "$imapflow" || ! has playwright-core "$playwright" || ! has axe-core "$axe"; then
    command -v node >/dev/null && command -v npm >/dev/null ||
        tools/install-packages.sh "for the tests with imapflow and axe" nodejs npm
    echo "Installing imapflow $imapflow, playwright-core $playwright and axe-core $axe with npm, for the tests with foreign clients"
    npm install --silent --no-audit --no-fund --prefix "$here" \
        "imapflow@$imapflow" "playwright-core@$playwright" "axe-core@$axe"
fi

if [ ! -d "$here/python/imapclient-$imapclient.dist-info" ] && [ ! -d "$here/python/IMAPClient-$imapclient.dist-info" ]; then
    python3 -m pip --version >/dev/null 2>&1 || tools/install-packages.sh "for the tests with IMAPClient" python3-pip
    echo "Installing IMAPClient $imapclient with pip, for the tests with foreign clients"
    python3 -m pip install --quiet --disable-pip-version-check --no-warn-script-location --root-user-action ignore \
        --target "$here/python" "IMAPClient==$imapclient"
fi
