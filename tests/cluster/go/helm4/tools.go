// SPDX-License-Identifier: Apache-2.0

//go:build tools

// Package tools pins what the test cluster is built from: Helm 4.
package tools

import (
	_ "helm.sh/helm/v4/cmd/helm"
)
