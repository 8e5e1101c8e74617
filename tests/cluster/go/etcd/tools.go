// SPDX-License-Identifier: Apache-2.0

//go:build tools

// Package tools pins what the test cluster is built from: etcd.
package tools

import (
	_ "go.etcd.io/etcd/server/v3"
)
