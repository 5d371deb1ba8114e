// SPDX-License-Identifier: Apache-2.0
// Pins the dashboard linter: go.mod and go.sum beside this file say which.

//go:build tools

package lint

import _ "github.com/grafana/dashboard-linter"
