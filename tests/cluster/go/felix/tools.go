// SPDX-License-Identifier: Apache-2.0

//go:build tools

// Package tools pins what enforces NetworkPolicies on the test cluster: Felix, of Calico.
package tools

import (
	_ "github.com/projectcalico/calico/felix/cmd/calico-felix"
)
