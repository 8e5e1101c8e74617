# SPDX-License-Identifier: Apache-2.0
"""A release installed by its chart, and those who wish it ill or make mistakes. The tests are in the files imported here."""
import unittest

from shared import system

from refusals import Refusals
from tenants import Tenants

__all__ = ["Refusals", "Tenants"]

if __name__ == "__main__":
    try:
        system.start()
        unittest.main(verbosity=2)
    finally:
        system.stop()
