# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filter: whether a certificate on the controller can go on serving."""

from __future__ import annotations

DOCUMENTATION = r"""
name: certificate_serves
short_description: Tell whether a certificate on the controller can go on serving
version_added: 0.1.0
author:
  - boring.lamp contributors
description:
  - Looks at the files C(<path>.pem) and C(<path>.key) on the controller.
  - Returns false when one of them is missing or unreadable, when the certificate names other hosts than the
    wanted ones, or when it ends within O(renew_days).
requirements:
  - cryptography (Python library, on the controller)
options:
  _input:
    description: Path of certificate and key without their endings.
    type: path
    required: true
  names:
    description: The wanted subject alternative names, each as C(DNS:name) or C(IP:address).
    type: list
    elements: str
    required: true
  renew_days:
    description: How many days before its end a certificate counts as over.
    type: int
    default: 60
"""

EXAMPLES = r"""
- name: Say whether the site's certificate must be issued
  ansible.builtin.debug:
    msg: "{{ not ('secrets/site' | boring.lamp.certificate_serves(['DNS:shop.example.com'])) }}"
"""

RETURN = r"""
_value:
  description: Whether the certificate can go on serving.
  type: bool
"""

import datetime
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleFilterError

try:
    from cryptography import x509
except ImportError:
    x509 = None


def subject_names(certificate: x509.Certificate) -> set[str]:
    """The certificate's subject alternative names, written as DNS:name and IP:address."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    found = {f"DNS:{name}" for name in names.get_values_for_type(x509.DNSName)}
    return found | {f"IP:{address}" for address in names.get_values_for_type(x509.IPAddress)}


def certificate_serves(path: str, names: Iterable[str], renew_days: int = 60) -> bool:
    """Whether the certificate at that path can go on serving those names."""
    if x509 is None:
        raise AnsibleFilterError(
            "certificate_serves: the Python library cryptography is missing on the controller; "
            "install it with: pip install cryptography"
        )
    certificate_file, key_file = Path(f"{path}.pem"), Path(f"{path}.key")
    if not (certificate_file.is_file() and key_file.is_file()):
        return False
    try:
        certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
    except ValueError:
        return False
    ends = certificate.not_valid_after_utc
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=renew_days)
    return ends > soon and subject_names(certificate) == set(names)


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Names of the filters."""
        return {"certificate_serves": certificate_serves}
