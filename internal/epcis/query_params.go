package epcis

import (
	"slices"

	"github.com/haisu-trace/haisu/internal/gs1"
)

// queryParam says how the values of a parameter are read, and what of an event they are compared with.
type queryParam struct {
	of     eventValues
	aspect Aspect

	// How a value is read: one of words, a term of a vocabulary, a text as it stands; else an identifier.
	words    map[string]bool
	terms    *vocabulary
	verbatim bool
	pattern  bool // identifiers may be pure identity patterns
	within   bool // a place stands for what is inside it too
}

// queryParams has the parameters that are conditions, but for those with a type in their name.
var queryParams = map[string]queryParam{
	"eventType": {of: text1(func(e *Event) string { return string(e.Type) }), aspect: AType, words: map[string]bool{
		string(ObjectEvent): true, string(AggregationEvent): true, string(TransactionEvent): true, string(TransformationEvent): true,
		string(AssociationEvent): true,
	}},
	"EQ_action": {
		of:    text1(func(e *Event) string { return string(e.Action) }),
		words: map[string]bool{string(Add): true, string(Observe): true, string(Delete): true},
	},
	"EQ_bizStep":     {of: text1(func(e *Event) string { return string(e.BizStep) }), aspect: ABizStep, terms: bizSteps},
	"EQ_disposition": {of: text1(func(e *Event) string { return string(e.Disposition) }), aspect: ADisposition, terms: dispositions},
	"EQ_persistentDisposition_set": {
		of: termsOf(func(e *Event) []Term { return e.SetDispositions }), terms: dispositions,
	},
	"EQ_persistentDisposition_unset": {
		of: termsOf(func(e *Event) []Term { return e.UnsetDispositions }), terms: dispositions,
	},
	"EQ_eventID":          {of: text1((*Event).ID), aspect: AnID, verbatim: true},
	"EQ_transformationID": {of: one(func(e *Event) Identifier { return e.TransformationID })},
	"EQ_errorReason":      {of: errorReason, terms: errorReasons},
	"EQ_correctiveEventID": {of: func(e *Event, is func(gs1.EPC, string) bool) bool {
		return e.ErrorDeclaration != nil &&
			slices.ContainsFunc(e.ErrorDeclaration.Corrective, func(id string) bool { return is(gs1.EPC{}, id) })
	}, verbatim: true},

	"EQ_readPoint":   {of: one(func(e *Event) Identifier { return e.ReadPoint.ID }), aspect: AReadPoint},
	"WD_readPoint":   {of: one(func(e *Event) Identifier { return e.ReadPoint.ID }), aspect: AReadPoint, within: true},
	"EQ_bizLocation": {of: one(func(e *Event) Identifier { return e.BizLocation.ID }), aspect: ABizLocation},
	"WD_bizLocation": {of: one(func(e *Event) Identifier { return e.BizLocation.ID }), aspect: ABizLocation, within: true},

	"EQ_bizTransaction": {of: inTransactions(""), aspect: ATransaction},
	"EQ_source":         {of: inSources("")},
	"EQ_destination":    {of: inDestinations("")},

	"MATCH_epc":       {of: epcsOf(func(e *Event) [][]Identifier { return [][]Identifier{e.EPCList, e.ChildEPCs} }), aspect: AThing, pattern: true},
	"MATCH_parentID":  {of: one(func(e *Event) Identifier { return e.ParentID }), aspect: AThing, pattern: true},
	"MATCH_inputEPC":  {of: epcsOf(func(e *Event) [][]Identifier { return [][]Identifier{e.InputEPCs} }), aspect: AThing, pattern: true},
	"MATCH_outputEPC": {of: epcsOf(func(e *Event) [][]Identifier { return [][]Identifier{e.OutputEPCs} }), aspect: AThing, pattern: true},
	"MATCH_anyEPC":    {of: anyEPC, aspect: AThing, pattern: true},

	"MATCH_epcClass":       {of: classesOf(func(e *Event) [][]Quantity { return [][]Quantity{e.QuantityList, e.ChildQuantities} }), aspect: AThing},
	"MATCH_inputEPCClass":  {of: classesOf(func(e *Event) [][]Quantity { return [][]Quantity{e.InputQuantities} }), aspect: AThing},
	"MATCH_outputEPCClass": {of: classesOf(func(e *Event) [][]Quantity { return [][]Quantity{e.OutputQuantities} }), aspect: AThing},
	"MATCH_anyEPCClass": {of: classesOf(func(e *Event) [][]Quantity {
		return [][]Quantity{e.QuantityList, e.ChildQuantities, e.InputQuantities, e.OutputQuantities}
	}), aspect: AThing},
}

// resourceParams has what the resources of the REST binding stand for.
var resourceParams = map[Aspect]queryParam{
	AnID: queryParams["EQ_eventID"], AType: queryParams["eventType"], ABizStep: queryParams["EQ_bizStep"], ADisposition: queryParams["EQ_disposition"],
	AReadPoint: queryParams["EQ_readPoint"], ABizLocation: queryParams["EQ_bizLocation"],
	AThing: {of: func(e *Event, is func(gs1.EPC, string) bool) bool {
		return anyEPC(e, is) || queryParams["MATCH_anyEPCClass"].of(e, is)
	}, aspect: AThing, pattern: true},
}

func text1(get func(*Event) string) eventValues {
	return func(e *Event, is func(gs1.EPC, string) bool) bool {
		s := get(e)
		return s != "" && is(gs1.EPC{}, s)
	}
}

func termsOf(get func(*Event) []Term) eventValues {
	return func(e *Event, is func(gs1.EPC, string) bool) bool {
		return slices.ContainsFunc(get(e), func(t Term) bool { return is(gs1.EPC{}, string(t)) })
	}
}

func errorReason(e *Event, is func(gs1.EPC, string) bool) bool {
	return e.ErrorDeclaration != nil && e.ErrorDeclaration.Reason != "" && is(gs1.EPC{}, string(e.ErrorDeclaration.Reason))
}

func one(get func(*Event) Identifier) eventValues {
	return func(e *Event, is func(gs1.EPC, string) bool) bool {
		id := get(e)
		return !id.IsZero() && is(id.EPC, id.String())
	}
}

func epcsOf(lists func(*Event) [][]Identifier) eventValues {
	return func(e *Event, is func(gs1.EPC, string) bool) bool {
		for _, list := range lists(e) {
			if slices.ContainsFunc(list, func(id Identifier) bool { return is(id.EPC, id.String()) }) {
				return true
			}
		}
		return false
	}
}

func classesOf(lists func(*Event) [][]Quantity) eventValues {
	return func(e *Event, is func(gs1.EPC, string) bool) bool {
		for _, list := range lists(e) {
			if slices.ContainsFunc(list, func(q Quantity) bool { return is(q.Class.EPC, q.Class.String()) }) {
				return true
			}
		}
		return false
	}
}

func anyEPC(e *Event, is func(gs1.EPC, string) bool) bool {
	return !e.ParentID.IsZero() && is(e.ParentID.EPC, e.ParentID.String()) || epcsOf(func(e *Event) [][]Identifier {
		return [][]Identifier{e.EPCList, e.ChildEPCs, e.InputEPCs, e.OutputEPCs}
	})(e, is)
}

func inParties(get func(*Event) []Party, t Term) eventValues {
	return func(e *Event, is func(gs1.EPC, string) bool) bool {
		return slices.ContainsFunc(get(e), func(p Party) bool { return (t == "" || p.Type == t) && is(p.ID.EPC, p.ID.String()) })
	}
}

func inSources(t Term) eventValues { return inParties(func(e *Event) []Party { return e.Sources }, t) }
func inDestinations(t Term) eventValues {
	return inParties(func(e *Event) []Party { return e.Destinations }, t)
}

func inTransactions(t Term) eventValues {
	return func(e *Event, is func(gs1.EPC, string) bool) bool {
		return slices.ContainsFunc(e.BizTransactions, func(b BizTransaction) bool {
			return (t == "" || b.Type == t) && is(b.ID.EPC, b.ID.String())
		})
	}
}
