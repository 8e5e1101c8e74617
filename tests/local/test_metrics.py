# SPDX-License-Identifier: Apache-2.0
"""A gateway's metrics name all tenants: with an address of their own they are there, and nowhere else."""
import http.client
import re
import unittest

import rig as rigs


def get(address, path, method="GET"):
    connection = http.client.HTTPConnection(address, timeout=10)
    connection.request(method, path)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


class Metrics(unittest.TestCase):
    def test_metrics_with_an_address_of_their_own(self):
        with rigs.Rig(gateway_options=["--metrics-listen", "127.0.0.1:0"]) as rig:
            log = rig.gateway.log_path.read_text()
            metrics = "127.0.0.1:" + re.search(r"metrics are served.*\bport=(\d+)", log)[1]
            status, text = get(metrics, "/metrics")
            self.assertEqual(status, 200)
            self.assertIn("spate_gateway_requests_total", text)
            for path in ("/metrics", "/v1/metrics", "/beta/metrics", "/beta/v1/metrics"):
                self.assertEqual(get(rig.gateway.address, path)[0], 404, path)
            for path, method in (("/v1/models", "GET"), ("/health", "GET"), ("/", "GET"), ("/metrics/", "GET"), ("/metrics", "POST")):
                self.assertEqual(get(metrics, path, method)[0], 404, (path, method))
            self.assertEqual(get(rig.gateway.address, "/live")[0], 200)

    def test_metrics_without_one(self):
        with rigs.Rig() as rig:
            self.assertIn("spate_gateway_requests_total", get(rig.gateway.address, "/metrics")[1])


if __name__ == "__main__":
    unittest.main(verbosity=2)
