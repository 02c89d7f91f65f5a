package epcis

import (
	"slices"
	"strings"

	"github.com/haisu-trace/haisu/internal/gs1"
)

// Term is a vocabulary element as the full URI: a CBV 2.0 Web URI such as https://ref.gs1.org/cbv/BizStep-shipping, or a URI of a
// private vocabulary. "" is none.
type Term string

// Word is the bare word of a CBV term or GS1 measurement type ("shipping"); a private URI stays as it is.
func (t Term) Word() string {
	s := string(t)
	if rest, ok := strings.CutPrefix(s, cbvVoc); ok {
		if _, word, ok := strings.Cut(rest, "-"); ok {
			return word
		}
	}
	if rest, ok := strings.CutPrefix(s, gs1Voc); ok {
		return rest
	}
	return s
}

// vocabulary is one list of CBV 2.0 (or of the GS1 Web Vocabulary) with the two forms of its URIs.
type vocabulary struct {
	name  string
	web   string // before the bare word
	urn   string // the form of CBV 1, "" when there is none
	words map[string]bool
}

func vocab(name, web, urn, words string) *vocabulary {
	v := vocabulary{name: name, web: web, urn: urn, words: map[string]bool{}}
	for w := range strings.FieldsSeq(words) {
		v.words[w] = true
	}
	return &v
}

// The standard vocabularies: CBV 2.0, section 7; measurement and sensor alert types: GS1 Web Vocabulary.
var (
	bizSteps = vocab("business step", cbvVoc+"BizStep-", "urn:epcglobal:cbv:bizstep:", `accepting arriving assembling
		collecting commissioning consigning creating_class_instance cycle_counting decommissioning departing destroying
		disassembling dispensing encoding entering_exiting holding inspecting installing killing loading other packing picking
		receiving removing repackaging repairing replacing reserving retail_selling sampling sensor_reporting shipping
		staging_outbound stock_taking stocking storing transporting unloading unpacking void_shipping`)
	dispositions = vocab("disposition", cbvVoc+"Disp-", "urn:epcglobal:cbv:disp:", `active available completeness_inferred
		completeness_verified conformant container_closed container_open damaged destroyed dispensed disposed encoded expired
		in_progress in_transit inactive mismatch_class mismatch_instance mismatch_quantity needs_replacement no_pedigree_match
		non_conformant non_sellable_other partially_dispensed recalled reserved retail_sold returned sellable_accessible
		sellable_not_accessible stolen unavailable unknown`)
	bizTransactionTypes = vocab("business transaction type", cbvVoc+"BTT-", "urn:epcglobal:cbv:btt:",
		`bol cert desadv inv pedigree po poc prodorder recadv rma testprd testres upevt`)
	sourceDestTypes = vocab("source or destination type", cbvVoc+"SDT-", "urn:epcglobal:cbv:sdt:",
		`location owning_party possessing_party`)
	errorReasons = vocab("error reason", cbvVoc+"ER-", "urn:epcglobal:cbv:er:", `did_not_occur incorrect_data`)
	components   = vocab("component", cbvVoc+"Comp-", "", `altitude axial_distance azimuth easting elevation_angle height latitude
		longitude northing polar_angle spherical_radius x y z`)
	sensorAlerts     = vocab("sensor exception", gs1Voc, "", `ALARM_CONDITION ERROR_CONDITION`)
	measurementTypes = vocab("measurement type", gs1Voc, "", `AbsoluteHumidity AbsorbedDose AbsorbedDoseRate Acceleration
		Altitude AmountOfSubstance AmountOfSubstancePerUnitVolume Angle AngularAcceleration AngularMomentum AngularVelocity Area
		Capacitance Conductance Conductivity Count Density Dimensionless DoseEquivalent DoseEquivalentRate DynamicViscosity
		ElectricCharge ElectricCurrent ElectricCurrentDensity ElectricFieldStrength Energy Exposure Force Frequency Illuminance
		Inductance Irradiance KinematicViscosity Length LinearMomentum Luminance LuminousFlux LuminousIntensity MagneticFlux
		MagneticFluxDensity MagneticVectorPotential Mass MassConcentration MassFlowRate MassPerAreaTime MemoryCapacity
		MolalityOfSolute MolarEnergy MolarMass MolarVolume Power Pressure RadiantFlux RadiantIntensity Radioactivity
		RelativeHumidity Resistance Resistivity SolidAngle SpecificVolume Speed SurfaceDensity SurfaceTension Temperature Time
		Torque Voltage Volume VolumeFlowRate VolumeFraction VolumetricFlux Wavenumber`)
)

// urnVocabularies are those whose old URNs may stand anywhere in an event, in extensions too.
var urnVocabularies = []*vocabulary{bizSteps, dispositions, bizTransactionTypes, sourceDestTypes, errorReasons}

// term reads a vocabulary field: a bare word, a CBV URN, a Web URI, a CURIE, or the absolute URI of a private vocabulary.
func (d *decoder) term(n *node, p *path, v *vocabulary) Term {
	s, ok := d.str(n, p)
	if !ok {
		return ""
	}
	if !strings.Contains(s, ":") {
		if v.words[s] {
			return Term(v.web + s)
		}
		d.add(p, "unknown_term", "%.80q is no %s of CBV 2.0; a private one is written as an absolute URI", s, v.name)
		return ""
	}
	s = d.ns.expand(s)
	word, standard := strings.CutPrefix(s, v.web)
	if !standard && v.urn != "" {
		word, standard = strings.CutPrefix(s, v.urn)
	}
	if standard {
		if v.words[word] {
			return Term(v.web + word)
		}
		d.add(p, "unknown_term", "%.80q is no %s of CBV 2.0", word, v.name)
		return ""
	}
	if foreignStandard(s) {
		d.add(p, "unknown_term", "%.120q belongs to another list of CBV 2.0: a %s is wanted", s, v.name)
		return ""
	}
	if _, err := gs1.ParseEPC(s); err != nil {
		d.add(p, "bad_uri", "a private %s is an absolute URI", v.name)
		return ""
	}
	return Term(s)
}

// foreignStandard says whether a URI is in a namespace that GS1 alone may define terms in.
func foreignStandard(s string) bool {
	return strings.HasPrefix(s, cbvVoc) || slices.ContainsFunc(urnVocabularies, func(v *vocabulary) bool {
		return strings.HasPrefix(s, v.urn)
	})
}

// webTerm gives the Web URI of a CBV URN, and every other text as it is.
func webTerm(s string) string {
	if !strings.HasPrefix(s, "urn:epcglobal:cbv:") {
		return s
	}
	for _, v := range urnVocabularies {
		if word, ok := strings.CutPrefix(s, v.urn); ok {
			return v.web + word
		}
	}
	return s
}
