package httpapi

//go:generate go tool oapi-codegen -config codegen.yaml ../../mobile-contract/openapi.yaml
