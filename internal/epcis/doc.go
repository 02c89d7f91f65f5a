// Package epcis reads EPCIS 2.0 events (GS1 EPCIS 2.0, JSON/JSON-LD binding): it decodes, validates, brings them into a
// canonical form and computes the CBV 2.0 event hash ID. It does no I/O; nothing is fetched, least of all a JSON-LD context.
//
// What is accepted is stricter than the standard's JSON schema: duplicate members, unknown members without a namespace and
// namespaces that no @context declares are refused, GS1 keys must have right check digits, vocabulary must be CBV 2.0 or the
// absolute URI of a private vocabulary, and the rules between fields of the standard's prose hold. Every refusal says where: a
// *fault.Error of kind Malformed (not JSON) or Invalid, whose fields carry RFC 6901 pointers into the request body.
//
// # JSON-LD
//
// An @context is read for its prefixes only. Context URLs are taken for the GS1 context and otherwise ignored; the prefixes gs1,
// cbv, epcis, cbvmda, rdfs, owl, xsd and dcterms need no declaration. Terms without a prefix are those of EPCIS 2.0 alone.
//
// # Error declarations
//
// A declaration that an earlier event was wrong is an event with the same content, the same event ID and an ErrorDeclaration.
// Callers tell the two apart by e.ErrorDeclaration != nil; ID and HashID are equal by design (EPCIS 2.0, section 7.4.1.4).
package epcis
