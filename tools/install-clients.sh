#!/usr/bin/env bash
# Installs clients that judge the service in the tests and are no packages of Debian, below
# target/clients: imapflow with npm, IMAPClient with pip. npm and pip come from Debian where they are missing.
set -euo pipefail
cd "$(dirname "$0")/.."
imapflow=1.7.8
imapclient=3.0.1
here=target/clients

if ! grep -qs "\"version\": \"$imapflow\"" "$here/node_modules/imapflow/package.json"; then
    command -v node >/dev/null && command -v npm >/dev/null ||
        tools/install-packages.sh "for the tests with imapflow" nodejs npm
    echo "Installing imapflow $imapflow with npm, for the tests with foreign clients"
    npm install --silent --no-audit --no-fund --prefix "$here" "imapflow@$imapflow"
fi

if [ ! -d "$here/python/imapclient-$imapclient.dist-info" ] && [ ! -d "$here/python/IMAPClient-$imapclient.dist-info" ]; then
    python3 -m pip --version >/dev/null 2>&1 || tools/install-packages.sh "for the tests with IMAPClient" python3-pip
    echo "Installing IMAPClient $imapclient with pip, for the tests with foreign clients"
    python3 -m pip install --quiet --disable-pip-version-check --no-warn-script-location --root-user-action ignore \
        --target "$here/python" "IMAPClient==$imapclient"
fi
