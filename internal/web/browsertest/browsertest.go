// Package browsertest drives a headless Chromium in tests. It is imported by tests only.
//
// The browser has a fresh profile and makes no request of its own, and it introduces itself as the browser inside WeChat on a phone:
// a headless browser's own name would be taken for a robot's, whose scans are not recorded.
package browsertest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// names under which Chromium is installed.
var names = []string{"chromium", "chromium-browser", "google-chrome"}

// userAgent is that of WeChat's browser on an Android phone.
const userAgent = "Mozilla/5.0 (Linux; Android 14; V2309A) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 " +
	"Chrome/126.0.0.0 Mobile Safari/537.36 MicroMessenger/8.0.50"

// timeout bounds everything that one Browser does.
const timeout = 8 * time.Minute

// Find gives the path of an installed Chromium.
func Find() (path string, ok bool) {
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path, true
		}
	}
	return "", false
}

// Browser is a running Chromium. It ends with the test that opened it.
type Browser struct{ ctx context.Context }

// Open starts a Chromium. Where none is installed it skips the test; in CI, where the environment has CI, it fails it.
func Open(t testing.TB) *Browser {
	t.Helper()
	path, ok := Find()
	if !ok {
		lack := "no Chromium is installed here (" + strings.Join(names, ", ") + "): apt-get install chromium fonts-noto-cjk"
		if os.Getenv("CI") != "" {
			t.Fatal(lack)
		}
		t.Skip(lack)
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	t.Cleanup(cancel)
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.UserDataDir(t.TempDir()),
		chromedp.UserAgent(userAgent),
		chromedp.NoSandbox, // it opens nothing but pages of the test's own server
		chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("no-pings", true),
	)
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start Chromium: %v", err)
	}
	return &Browser{ctx: ctx}
}

// View is how a page is looked at. Zero values stand for a phone of 360 by 800 CSS pixels in the light scheme, text at 100 %.
type View struct {
	Width, Height int64 // CSS pixels
	Dark          bool
	TextPercent   int // size of the text that the reader has chosen
}

// Page is an open page in a tab, and a cookie jar, of its own.
type Page struct {
	ctx  context.Context
	view View

	mu       sync.Mutex
	problems []string
	requests []string
}

// Visit opens a URL in a new tab and waits until it has loaded.
func (b *Browser) Visit(t testing.TB, url string, v View) *Page {
	t.Helper()
	p := &Page{}
	ctx, cancel := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	p.ctx = ctx
	if err := chromedp.Listen(ctx, p.listen); err != nil {
		t.Fatalf("open a tab: %v", err)
	}
	p.Look(t, v)
	p.Do(t, chromedp.Navigate(url))
	return p
}

// Look changes how the page is looked at; it lays itself out again without being loaded again.
func (p *Page) Look(t testing.TB, v View) {
	t.Helper()
	if v.Width == 0 {
		v.Width, v.Height = 360, 800
	}
	p.view = v
	scheme := "light"
	if v.Dark {
		scheme = "dark"
	}
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}
	p.Do(t,
		chromedp.EmulateViewport(v.Width, v.Height, chromedp.EmulateMobile, chromedp.EmulateTouch),
		chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
			_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, media)
			return err
		}),
	)
	if v.TextPercent == 0 {
		return
	}
	size := int64(16 * v.TextPercent / 100)
	fonts := page.SetFontSizesParams{FontSizes: &page.FontSizes{Standard: size, Fixed: size}}
	p.Do(t, chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, page.SetFontSizes, fonts)
		return err
	}))
}

// listen keeps what the browser complains of and what it asks for.
func (p *Page) listen(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		if !strings.HasPrefix(e.Request.URL, "data:") {
			p.requests = append(p.requests, e.Request.URL)
		}
	case *log.EventEntryAdded: // violations of the content policy among them
		if e.Entry.Level != log.EntryLevelInfo && e.Entry.Level != log.EntryLevelVerbose {
			p.problems = append(p.problems, string(e.Entry.Source)+": "+e.Entry.Text)
		}
	case *runtime.EventExceptionThrown:
		p.problems = append(p.problems, "exception: "+e.ExceptionDetails.Text)
	case *runtime.EventConsoleAPICalled:
		p.problems = append(p.problems, "console: "+string(e.Type))
	}
}

// Do runs actions in the page's tab.
func (p *Page) Do(t testing.TB, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(p.ctx, actions...); err != nil {
		t.Fatalf("browser: %v", err)
	}
}

// Problems gives what the browser has complained of: warnings, errors, exceptions and violations of the content policy.
func (p *Page) Problems() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.problems...)
}

// Requests gives the URLs that the page has asked for, its own first.
func (p *Page) Requests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.requests...)
}

// maxShot is how much of a page a screenshot shows, in CSS pixels; Chromium takes no larger ones.
const maxShot = 16000

// Screenshot writes the whole page, below the fold too, as the PNG file dir/name.png. It does so by making the window as high as the
// page: a capture beyond the window would forget the size of the text.
func (p *Page) Screenshot(t testing.TB, dir, name string) {
	t.Helper()
	was := p.view
	tall := was
	tall.Height = min(int64(Eval[float64](t, p, `document.scrollingElement.scrollHeight`)), maxShot)
	p.Look(t, tall)
	png, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	p.Look(t, was)
	if err != nil {
		t.Fatalf("screenshot: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600); err != nil {
		t.Fatalf("screenshot: %v", err)
	}
}

// Eval gives the value of a JavaScript expression in the page. Content policies do not hold for it.
func Eval[T any](t testing.TB, p *Page, expression string) T {
	t.Helper()
	v, err := chromedp.Run(p.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		t.Fatalf("evaluate %.80s: %v", expression, err)
	}
	return v
}
