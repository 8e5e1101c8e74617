// SPDX-License-Identifier: Apache-2.0

//go:build tools

// Package tools pins what the test cluster is built from: Helm 3.
package tools

import (
	_ "helm.sh/helm/v3/cmd/helm"
)
