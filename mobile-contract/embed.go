// Package contract carries the HTTP contract of Haisu inside the program: the OpenAPI document and one golden example of
// every operation.
package contract

import "embed"

// OpenAPI is openapi.yaml, byte for byte.
//
//go:embed openapi.yaml
var OpenAPI []byte

// Examples holds examples/{operationId}.json: a request, and the response that it is answered with.
//
//go:embed examples/*.json
var Examples embed.FS
