"""What is told twice in ``deploy``: nginx.conf, as it is and as Kubernetes has it.

``python -m tests.deploy.files`` writes the second one anew; ``test_kubernetes`` compares.
"""

from __future__ import annotations

import textwrap

from tests.serving import ROOT

DEPLOY = ROOT / "deploy"
PROXY = DEPLOY / "kubernetes/proxy.yaml"
_HEAD = """\
# Written by python -m tests.deploy.files from deploy/nginx.conf: change that one.
apiVersion: v1
kind: ConfigMap
metadata:
  name: coverage-cds-proxy
  namespace: coverage-cds
  labels: {app.kubernetes.io/name: coverage-cds}
data:
  nginx.conf: |
"""


def proxy_config_map() -> str:
    """Return the ConfigMap that holds nginx.conf."""
    return _HEAD + textwrap.indent((DEPLOY / "nginx.conf").read_text(encoding="utf-8"), "    ")


if __name__ == "__main__":
    PROXY.write_text(proxy_config_map(), encoding="utf-8")
