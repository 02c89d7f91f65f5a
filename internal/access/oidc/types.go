// Package oidc signs operators in with an OpenID provider.
package oidc

// Identity is who the provider says it is.
type Identity struct {
	Issuer, Subject, Email, Name string
	AMR                          []string
}
