package tokenizer

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/marge-go/marge/internal/jsonx"
)

// Layout says which ids the pieces of a SentencePiece model have. The models
// that were trained with fairseq have those of its dictionary: <s>, <pad>, </s>
// and <unk> from 0 to 3, then the pieces from 3 on with ids larger by 1, then
// the tokens of languages, then <mask>. The empty layout has the ids of
// SentencePiece itself.
type Layout string

const (
	LayoutXLMR    Layout = "xlm-roberta" // no languages
	LayoutMBART   Layout = "mbart"       // the 25 languages of mBART-cc25
	LayoutMBART50 Layout = "mbart50"     // the 52 languages of mBART-50
)

// languages25 and languages52 are the tokens of mBART's languages, in order
// (Liu et al., arXiv:2001.08210; Tang et al., arXiv:2008.00401).
const (
	languages25 = "ar_AR cs_CZ de_DE en_XX es_XX et_EE fi_FI fr_XX gu_IN hi_IN it_IT ja_XX kk_KZ ko_KR lt_LT lv_LV " +
		"my_MM ne_NP nl_XX ro_RO ru_RU si_LK tr_TR vi_VN zh_CN"
	languages52 = languages25 + " af_ZA az_AZ bn_IN fa_IR he_IL hr_HR id_ID ka_GE km_KH mk_MK ml_IN mn_MN mr_IN " +
		"pl_PL ps_AF pt_XX sv_SE sw_KE ta_IN te_IN th_TH tl_XX uk_UA ur_PK xh_ZA gl_ES sl_SI"
)

// apply returns the id of each piece of a model, and the tokens by id, of which
// some are special.
func (l Layout) apply(m *spmModel) (ids []int32, tokens, special []string, err error) {
	var last []string
	switch l {
	case "", LayoutXLMR:
	case LayoutMBART:
		last = strings.Fields(languages25)
	case LayoutMBART50:
		last = strings.Fields(languages52)
	default:
		return nil, nil, nil, fmt.Errorf("no layout is called %.100q; there are %s, %s and %s", string(l), LayoutXLMR,
			LayoutMBART, LayoutMBART50)
	}
	first := 0 // piece whose id is moved
	if l != "" {
		first = 3
		for i, want := range []spmPiece{{"<unk>", 0, spmUnknown}, {"<s>", 0, spmControl}, {"</s>", 0, spmControl}} {
			if len(m.pieces) < first || m.pieces[i].text != want.text || m.pieces[i].kind != want.kind {
				return nil, nil, nil, fmt.Errorf("layout %s: piece %d must be %s", l, i, want.text)
			}
		}
		ids = []int32{Unk, BOS, EOS}
		tokens = []string{BOS: "<s>", Pad: "<pad>", EOS: "</s>", Unk: "<unk>"}
		special = append(special, tokens...)
		last = append(last, "<mask>")
	}
	for _, p := range m.pieces[first:] {
		ids = append(ids, int32(len(tokens)))
		tokens = append(tokens, p.text)
		if p.kind == spmUnknown || p.kind == spmControl {
			special = append(special, p.text)
		}
	}
	return ids, append(tokens, last...), append(special, last...), nil
}

// tokenizerConfig is what matters here of a tokenizer_config.json or config.json.
type tokenizerConfig struct {
	TokenizerClass string `json:"tokenizer_class"`
	ModelType      string `json:"model_type"`

	AddPrefixSpace *bool                 `json:"add_prefix_space"`
	Added          map[string]addedToken `json:"added_tokens_decoder"`
}

// readConfig reads one of the files of a folder; nil if it is not there.
func readConfig(dir, name string) (*tokenizerConfig, error) {
	data, err := readFile(filepath.Join(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	c := new(tokenizerConfig)
	if err == nil {
		err = jsonx.Unmarshal(data, c)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return c, nil
}

// layoutOfFolder returns the layout that the class of the tokenizer has in
// transformers, else that of the model; empty if neither is known.
func layoutOfFolder(dir string) (Layout, error) {
	layouts := map[string]Layout{
		"MBartTokenizer": LayoutMBART, "MBart50Tokenizer": LayoutMBART50, "XLMRobertaTokenizer": LayoutXLMR,
		"mbart": LayoutMBART, "xlm-roberta": LayoutXLMR,
	}
	var model Layout
	for _, name := range []string{"tokenizer_config.json", "config.json"} {
		c, err := readConfig(dir, name)
		if err != nil {
			return "", err
		}
		if c == nil {
			continue
		}
		if l, ok := layouts[strings.TrimSuffix(c.TokenizerClass, "Fast")]; ok {
			return l, nil
		}
		if l, ok := layouts[c.ModelType]; ok {
			model = l
		}
	}
	return model, nil
}
