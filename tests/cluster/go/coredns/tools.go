// SPDX-License-Identifier: Apache-2.0

//go:build tools

// Package tools pins what the test cluster is built from: CoreDNS.
package tools

import (
	_ "github.com/coredns/coredns"
)
