# SPDX-License-Identifier: Apache-2.0
"""A release installed by its chart, and those who wish it ill or make mistakes. The tests are in the files imported here."""
import unittest

from shared import system

from disks import Disks
from hostile import Hostile
from mistakes import Mistakes
from refusals import Refusals
from rights import Rights
from tenants import Tenants
from used import Used

__all__ = ["Disks", "Hostile", "Mistakes", "Refusals", "Rights", "Tenants", "Used"]

if __name__ == "__main__":
    try:
        system.start()
        unittest.main(verbosity=2)
    finally:
        system.stop()
