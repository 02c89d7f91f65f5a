package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/gofiber/fiber/v2"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/linkset"
)

// wanted is what a request to a Digital Link asks for: the answer of a scan ("" and the types of linkset.Own), the link set, or a link.
func wanted(c *fiber.Ctx) (linkType string, set bool) {
	switch t := c.Query("linkType"); t {
	case "":
		return "", c.Accepts(fiber.MIMEApplicationJSON, fiber.MIMETextHTML, linkset.MediaType) == linkset.MediaType
	case "all", "linkset":
		return "", true
	default:
		if own, ok := linkset.ParseType(t); ok && slices.Contains(linkset.Own, own) {
			return "", false
		}
		return t, false
	}
}

// linkHeader points from any answer about goods to their link set (RFC 9264, 6).
func (s *server) linkHeader(ref gs1.Ref) string {
	return "<" + ref.Link(s.deps.PublicURL) + `?linkType=linkset>; rel="linkset"; type="` + linkset.MediaType + `"`
}

// resolveLink answers ?linkType= and requests for the link set. It is no scan: nobody looks at goods here, a program looks for an address.
func (s *server) resolveLink(c *fiber.Ctx, k *call, ref gs1.Ref, linkType string) error {
	if err := s.whoScans(c, k); err != nil && schemeOf(bearer(c)) == schemeSeller {
		return err // a device that cannot be told reads what everybody reads
	}
	links, err := s.linksOf(c.UserContext(), k, ref)
	if err != nil {
		return err
	}
	c.Set(fiber.HeaderVary, "Accept, Accept-Language")
	c.Set(fiber.HeaderLink, s.linkHeader(ref))
	c.Set(fiber.HeaderAccessControlAllowOrigin, "*") // link sets are public and read by programs of other origins
	if linkType == "" {
		return s.linkSet(c, http.StatusOK, ref, append(s.ownLinks(ref), links...))
	}
	t, _ := linkset.ParseType(linkType)
	found := linkset.OfType(links, t)
	if len(found) == 0 {
		return fault.New(fault.NotFound, "link_type_missing", "%s has no link of this type; linkType=linkset lists those that there are", ref.Path())
	}
	found = linkset.Choose(found, c.Get(fiber.HeaderAcceptLanguage), func(media string) bool { return c.Accepts(media) != "" })
	if len(found) > 1 {
		return s.linkSet(c, http.StatusMultipleChoices, ref, found)
	}
	c.Set(fiber.HeaderLocation, linkset.WithQuery(found[0].Href, string(c.Request().URI().QueryString()), "linkType", "place"))
	c.Status(http.StatusTemporaryRedirect)
	return nil
}

// linksOf gives the links of goods to anywhere but the answer of a scan: what firms link, and documents that are kept here.
func (s *server) linksOf(ctx context.Context, k *call, ref gs1.Ref) ([]linkset.Link, error) {
	links, err := s.tenant(k).Links.Links(ctx, ref)
	if err != nil {
		return nil, err
	}
	papers, err := s.tenant(k).Documents.PaperLinks(ctx, ref)
	for _, l := range papers {
		l.Href = s.deps.PublicURL + l.Href
		links = append(links, l)
	}
	return links, err
}

func (s *server) linkSet(c *fiber.Ctx, status int, ref gs1.Ref, links []linkset.Link) error {
	body, err := linkset.Encode(ref.Link(s.deps.PublicURL), links)
	if err != nil {
		return fmt.Errorf("link set: %w", err)
	}
	c.Set(fiber.HeaderContentType, linkset.MediaType)
	return c.Status(status).Send(body)
}

// ownLinks are the links to what is told here: one answer about the goods' state and history, which is also the default.
func (s *server) ownLinks(ref gs1.Ref) []linkset.Link {
	here := ref.Link(s.deps.PublicURL)
	media := fiber.MIMETextHTML
	if s.deps.Page == nil {
		media = fiber.MIMEApplicationJSON
	}
	return []linkset.Link{
		{Type: linkset.Default, Href: here, Media: media, Title: lang.ZhEn("扫码查询", "What is known of these goods")},
		{Type: linkset.Traceability, Href: here, Media: media, Title: lang.ZhEn("追溯链", "Trace chain")},
		{Type: linkset.RecallStatus, Href: here, Media: media, Title: lang.ZhEn("召回状态", "Recall status")},
		{Type: linkset.SafetyInfo, Href: here, Media: media, Title: lang.ZhEn("风险预警", "Safety warnings")},
	}
}

// PutLinks replaces what the seller's firm links from goods.
func (s *server) PutLinks(ctx context.Context, req PutLinksRequestObject) (PutLinksResponseObject, error) {
	ref, err := linkRef(req.Gtin, req.Params.Lot, req.Params.Serial)
	if err != nil {
		return nil, err
	}
	f, err := s.sellerFirm(ctx)
	if err != nil {
		return nil, err
	}
	set, err := s.tenant(callFrom(ctx)).Links.PutLinks(ctx, f, ref, req.Body.Links)
	if err != nil {
		return nil, err
	}
	return PutLinks200JSONResponse(set), nil
}

// GetLinks lists the links of goods, as the resolver would choose from them.
func (s *server) GetLinks(ctx context.Context, req GetLinksRequestObject) (GetLinksResponseObject, error) {
	ref, err := linkRef(req.Gtin, req.Params.Lot, req.Params.Serial)
	if err != nil {
		return nil, err
	}
	links, err := s.linksOf(ctx, callFrom(ctx), ref)
	if err != nil {
		return nil, err
	}
	return GetLinks200JSONResponse{Links: append([]linkset.Link{}, links...)}, nil
}

func linkRef(gtin, lot, serial string) (gs1.Ref, error) {
	g, err := gs1.ParseGTINLenient(gtin)
	if err != nil {
		return gs1.Ref{}, err
	}
	ref := gs1.Ref{GTIN: g, Lot: lot, Serial: serial}
	return ref, ref.Valid()
}

// resolverDescription is the resolver description file (GS1-Conformant Resolver Standard, 4.9).
type resolverDescription struct {
	Name                 string              `json:"name"`
	ResolverRoot         string              `json:"resolverRoot"`
	SupportedPrimaryKeys []string            `json:"supportedPrimaryKeys"`
	SupportedLinkType    []supportedLinkType `json:"supportedLinkType"`
	DefaultCanBeLinkset  bool                `json:"linkTypeDefaultCanBeLinkset"`
}

type supportedLinkType struct {
	Namespace string `json:"namespace"`
	Prefix    string `json:"prefix"`
}

// describeResolver answers /.well-known/gs1resolver.
func (s *server) describeResolver(c *fiber.Ctx) error {
	c.Set(fiber.HeaderAccessControlAllowOrigin, "*")
	return c.JSON(resolverDescription{
		Name: "Haisu 海溯", ResolverRoot: s.deps.PublicURL, SupportedPrimaryKeys: []string{"01"},
		SupportedLinkType: []supportedLinkType{{linkset.Vocabulary, linkset.Prefix}},
	})
}
