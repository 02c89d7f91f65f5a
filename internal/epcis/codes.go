package epcis

import "slices"

// Rule is one reason why event data are refused.
type Rule struct {
	Code   string // stable
	Status int    // of the answer, or of the error that a capture lists
	Means  string // what is wrong, in a sentence for the reference
}

// IsRule says whether a code is in the table.
func IsRule(code string) bool {
	return slices.ContainsFunc(Rules, func(c Chapter) bool {
		return slices.ContainsFunc(c.Rules, func(r Rule) bool { return r.Code == code })
	})
}

// Chapter is a part of the table of rules.
type Chapter struct {
	Title string
	Rules []Rule
}

// Rules are all reasons why a document or an event is refused, by this package or by a capture. Every refusal has one of these codes and a JSON
// pointer. The reference, mobile-contract/epcis-codes.md, is made from this table.
var Rules = []Chapter{
	{"Reading", []Rule{
		{"json_utf8", 400, "The body is not valid UTF-8."},
		{"json_syntax", 400, "The body is not one JSON text (RFC 8259)."},
		{"json_escape", 400, "A string holds an escape that JSON does not know, half a surrogate pair, or U+0000."},
		{"duplicate_member", 400, "A name stands twice in one object. Exception: `eventID` as a hash ID and as another ID."},
		{"number_precision", 400, "A number does not fit an IEEE 754 double (RFC 7493)."},
	}},
	{"Size", []Rule{
		{"body_too_large", 413, "The body has too many bytes for this operation."},
		{"too_many_values", 413, "The body has too many JSON values."},
		{"too_many_events", 413, "The document has too many events for this operation."},
		{"capture_too_large", 413, "What the document has around its events, or its event IDs together, are too long."},
		{"json_depth", 422, "Values are nested more than 32 levels deep."},
		{"too_many", 422, "A list or object has more than 10,000 members, or `ignoreFields` more than 50."},
		{"text_too_long", 422, "A text or a name has more than 8,192 bytes."},
		{"too_long", 422, "An event ID, an `@context` or a namespace is longer than can be stored."},
		{"event_too_large", 422, "The event is too large to be stored. Split its lists."},
	}},
	{"Form", []Rule{
		{"missing", 422, "A member that the type of event, or the member beside it, demands."},
		{"unknown_type", 422, "`type` names neither a document nor one of the five types of events."},
		{"unsupported_version", 422, "`schemaVersion` is not 2.x."},
		{"not_one_event", 422, "The operation takes one event, and the document has none or several."},
		{"unknown_field", 422, "A member without a namespace that EPCIS 2.0 does not have at this place."},
		{"not_allowed", 422, "EPCIS 2.0 has the member, but not for this type of event or this action."},
		{"wrong_type", 422, "The member is another kind of JSON value."},
		{"not_a_number", 422, "A number without quotation marks is wanted."},
		{"empty", 422, "A text, or a list that must have something, is empty."},
		{"white_space", 422, "A text begins or ends with white space."},
	}},
	{"Types of events", []Rule{
		{"bad_action", 422, "`action` is ADD, OBSERVE or DELETE."},
		{"nothing_named", 422, "The event names no thing, no children, no inputs or no outputs, where its type and action demand some."},
		{"contradiction", 422, "Two members exclude each other: a parent is its own child, a disposition is set and unset, a period ends before it starts, the greatest value is below the least."},
		{"duplicate", 422, "A list names one thing twice, be it in two forms."},
		{"not_an_instance", 422, "A parent is a product or lot and not one single thing."},
		{"not_a_class", 422, "A quantity is of one single thing and not of a class."},
		{"out_of_range", 422, "A quantity or a standard deviation is negative, or a percentile rank is not from 0 to 100."},
		{"not_whole", 422, "A quantity without unit of measure counts pieces."},
	}},
	{"Times", []Rule{
		{"bad_time", 422, "Not a date and time with seconds and offset, such as `2026-07-22T06:45:00.000+08:00`."},
		{"time_out_of_range", 422, "The year is not from 1970 to 2199, as with the placeholder 9999-12-31."},
		{"bad_offset", 422, "`eventTimeZoneOffset` is not `+hh:mm` or `-hh:mm` up to 14:00."},
		{"bad_date", 422, "A date of a certificate is not `YYYY-MM-DD`."},
	}},
	{"Vocabularies and extensions", []Rule{
		{"unknown_term", 422, "A word or URI of CBV 2.0 that its list does not have. A private term is an absolute URI."},
		{"bad_uri", 422, "A private term, a context or a namespace is not an absolute URI, or a prefix is defined by itself."},
		{"undeclared_prefix", 422, "No `@context` declares the prefix of the member's name, or the name behind it is none."},
		{"reserved_prefix", 422, "A prefix such as `urn` or `https` begins URIs."},
		{"no_namespace", 422, "A member inside an extension, of `ilmd` or of a certificate lacks the prefix of a namespace."},
		{"no_extension", 422, "EPCIS 2.0 allows no extension at this place."},
	}},
	{"Identifiers", []Rule{
		{"epc_syntax", 422, "Not an absolute URI, or an EPC URN without the parts that its scheme prescribes."},
		{"epc_scheme", 422, "No scheme of EPC URNs."},
		{"epc_pattern", 422, "A pattern that names no class."},
		{"epc_prefix", 422, "The EPC URN has no GS1 company prefix of 6 to 12 digits, or prefix and reference have the wrong length together."},
		{"code_too_long", 422, "The identifier has more than 2,048 bytes."},
		{"gtin_length", 422, "A GTIN with another number of digits."},
		{"gtin_digits", 422, "A GTIN with something else than digits."},
		{"gtin_zero", 422, "A GTIN of zeros."},
		{"gtin_check_digit", 422, "A GTIN with a wrong check digit, on whatever domain."},
		{"element_check_digit", 422, "Another GS1 key with a wrong check digit."},
		{"element_value", 422, "A value that does not have the form that GS1 prescribes for its application identifier."},
		{"link_syntax", 422, "A link on id.gs1.org that is no URI."},
		{"link_escape", 422, "A link on id.gs1.org with a percent sign that starts no escape."},
		{"link_no_key", 422, "A link on id.gs1.org that names no GS1 key."},
		{"link_qualifiers", 422, "A link on id.gs1.org whose qualifiers do not belong to the key, or stand in the wrong order."},
		{"link_attribute", 422, "A link on id.gs1.org with an attribute twice, or with one that belongs into the path."},
	}},
	{"Measurements", []Rule{
		{"bad_unit", 422, "Not a code of UN/ECE recommendation 20."},
		{"bad_hex", 422, "`hexBinaryValue` is not an even number of hexadecimal digits."},
		{"incomplete", 422, "`percRank` without `percValue`, or the other way round."},
	}},
	{"What is stored already", []Rule{
		{"event_id_taken", 409, "The ID stands for another event, of this document or stored before."},
		{"event_exists", 409, "The event was captured before (`POST /epcis/events`; a document may repeat events)."},
	}},
}
