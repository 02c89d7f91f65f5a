package httpapi

//go:generate go tool oapi-codegen -config codegen.yaml ../../mobile-contract/openapi.yaml
//go:generate go run ./permissionref ../../mobile-contract/permissions.md
//go:generate go run ./coderef ../../mobile-contract/epcis-codes.md
