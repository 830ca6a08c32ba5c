package prepare

import (
	"bytes"
	"path"
	"regexp"
	"slices"
	"strings"
)

// A manual is a book in several languages, or some of a kind.
type manual struct {
	name     string
	packages []string
	// add adds a page of a package.
	add func(set *manualSet, pkg, path string, data []byte) error
}

// with returns the names of packages for languages.
func with(prefix string, languages string) (list []string) {
	for _, lang := range strings.Fields(languages) {
		list = append(list, prefix+lang)
	}
	return list
}

var manuals = []manual{
	{"lohelp", with("libreoffice-help-", "ca cs da de el en-us es eu fi fr hu id it ja ko nl pl pt pt-br ru sv tr vi "+
		"zh-cn"), addLibreOffice},
	{"gnomehelp", []string{"gnome-user-docs"}, addGnome},
	{"debdocs", slices.Concat(
		[]string{"debian-faq", "developers-reference", "maint-guide"},
		with("debian-faq-", "de fr it ja ko nl pt ru zh-cn"),
		with("debian-reference-", "de en es fr id it ja pt pt-br zh-cn zh-tw"),
		with("developers-reference-", "de fr it ja ru"),
		with("maint-guide-", "ca de es fr it ja ru vi zh-cn zh-tw"),
	), addDebianDocs},
	{"installguide", []string{"installation-guide-amd64"}, addInstallGuide},
	{"handbook", []string{"debian-handbook"}, addHandbook},
}

// manualLang returns the tag of a language that a folder or a package is named
// after.
func manualLang(name string) string {
	name = strings.ReplaceAll(name, "_", "-")
	language, region, _ := strings.Cut(name, "-")
	switch region = strings.ToUpper(region); {
	case name == "C", name == "en-US":
		return "en"
	case name == "sr@latin":
		return "sr-Latn"
	case language == "zh" && region == "CN":
		return "zh"
	case region != "":
		return language + "-" + region
	}
	return language
}

// addLibreOffice adds a page of usr/share/libreoffice/help/LANGUAGE/text. Pages
// in folders 00 are parts of others.
func addLibreOffice(set *manualSet, _, name string, data []byte) error {
	rest, ok := strings.CutPrefix(name, "usr/share/libreoffice/help/")
	lang, page, below := strings.Cut(rest, "/text/")
	page, html := strings.CutSuffix(page, ".html")
	if !ok || !below || !html || strings.Contains(page, "/00/") {
		return nil
	}
	_, data, ok = cutBefore(data, `<div id="DisplayArea"`)
	if !ok {
		return nil
	}
	data, _, _ = cutBefore(data, `<div id="SearchFrame"`)
	paragraphs, err := htmlParagraphs(data)
	set.add(manualPage{page, manualLang(lang), paragraphs})
	return err
}

// cutBefore cuts data before a mark.
func cutBefore(data []byte, mark string) (before, from []byte, found bool) {
	if i := bytes.Index(data, []byte(mark)); i >= 0 {
		return data[:i], data[i:], true
	}
	return data, nil, false
}

// addGnome adds a page of usr/share/help/LANGUAGE/MANUAL.
func addGnome(set *manualSet, _, name string, data []byte) error {
	parts := strings.Split(name, "/")
	page, ok := strings.CutSuffix(path.Base(name), ".page")
	if len(parts) != 6 || !strings.HasPrefix(name, "usr/share/help/") || !ok {
		return nil
	}
	paragraphs, err := mallardParagraphs(data)
	set.add(manualPage{parts[4] + "/" + page, manualLang(parts[3]), paragraphs})
	return err
}

// debianDocs are the folders of manuals, and the start of their packages' names.
var debianDocs = []struct{ name, pkg, folder string }{
	{"faq", "debian-faq", "usr/share/doc/debian/FAQ/"},
	{"reference", "debian-reference", "usr/share/debian-reference/"},
	{"devref", "developers-reference", "usr/share/developers-reference/"},
	{"maintguide", "maint-guide", "usr/share/doc/maint-guide"},
}

// addDebianDocs adds a page of the FAQ and the like. The package tells its
// language.
func addDebianDocs(set *manualSet, pkg, name string, data []byte) error {
	page, _, _ := strings.Cut(path.Base(name), ".")
	if !strings.HasSuffix(name, ".html") ||
		slices.Contains([]string{"index", "search", "genindex", "searchindex", "apa"}, page) {
		return nil
	}
	for _, d := range debianDocs {
		lang, ok := strings.CutPrefix(pkg, d.pkg)
		if !ok || !strings.HasPrefix(name, d.folder) {
			continue
		}
		if lang = strings.TrimPrefix(lang, "-"); lang == "" {
			lang = "en"
		}
		return addNumbered(set, d.name+"/"+page, manualLang(lang), data)
	}
	return nil
}

// addInstallGuide adds a page of the installation guide. The appendices e and f,
// licence and thanks, are the same in all languages.
func addInstallGuide(set *manualSet, _, name string, data []byte) error {
	parts := strings.Split(name, "/")
	page, ok := strings.CutSuffix(path.Base(name), ".html")
	if len(parts) != 6 || !strings.HasPrefix(name, "usr/share/doc/installation-guide-") || !ok || page == "index" ||
		page == "gpl" || strings.HasPrefix(page, "ape") || strings.HasPrefix(page, "apf") {
		return nil
	}
	return addNumbered(set, "ig/"+page, manualLang(parts[4]), data)
}

// addHandbook adds a page of the Administrator's Handbook: a chapter or a section,
// from where its text begins.
func addHandbook(set *manualSet, _, name string, data []byte) error {
	parts := strings.Split(name, "/")
	page, ok := strings.CutSuffix(path.Base(name), ".html")
	if len(parts) != 7 || !strings.HasPrefix(name, "usr/share/doc/debian-handbook/html/") || !ok || page == "index" ||
		strings.HasPrefix(page, "ix") {
		return nil
	}
	lang := parts[5]
	if lang != "pt-BR" && lang != "zh-TW" { // of others, there is one book in a language
		lang, _, _ = strings.Cut(lang, "-")
	}
	return addNumbered(set, "handbook/"+page, manualLang(lang), data, `<div class="section"`, `<div class="chapter"`)
}

// sectionNumber is the number of a chapter, a section or an appendix. It has a point:
// 256 MB and A package are text.
var sectionNumber = regexp.MustCompile(`^(\p{Nd}+|[A-Z])((\.\p{Nd}+)+\.?|\.) `)

// addNumbered adds a page whose headings have numbers, which are left out. Its text
// begins with the first of the marks that it has, or with its body.
func addNumbered(set *manualSet, group, lang string, data []byte, marks ...string) error {
	for _, mark := range append(marks, "<body") {
		_, text, ok := cutBefore(data, mark)
		if !ok {
			continue
		}
		paragraphs, err := htmlParagraphs(text)
		for i, p := range paragraphs {
			paragraphs[i] = sectionNumber.ReplaceAllString(p, "")
		}
		set.add(manualPage{group, lang, paragraphs})
		return err
	}
	return nil
}
