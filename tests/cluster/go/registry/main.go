// SPDX-License-Identifier: Apache-2.0

// A registry of images, whole but for the stores of clouds: those are most of what its own main package is built from, and
// the tests want files and passwords alone.
package main

import (
	"os"

	"github.com/distribution/distribution/v3/registry"
	_ "github.com/distribution/distribution/v3/registry/auth/htpasswd"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
)

func main() {
	if err := registry.RootCmd.Execute(); err != nil {
		os.Exit(1)
	}
}
