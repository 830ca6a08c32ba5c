package marge

import (
	"fmt"
	"iter"
	"slices"
	"strconv"

	"github.com/marge-go/marge/nn/safetensors"
)

// paramShape is the name and the shape of a parameter. A configuration says
// which ones a model has, without making them: the sizes in a config.json are
// compared with the weights before any memory depends on them.
type paramShape struct {
	name  string
	shape []int
	int8  bool // Quantize makes it int8 values and scales
}

// layerShapes is the parameters of equal layers, named prefix, number of the
// layer, dot, name.
type layerShapes struct {
	prefix string
	layers int
	params []paramShape
}

// shapes returns the parameters that build makes, outside and inside of layers.
func (c *Config) shapes() ([]paramShape, []layerShapes) {
	d := c.DModel
	norm := func(name string, width int) []paramShape {
		return []paramShape{{name: name + ".weight", shape: []int{width}}, {name: name + ".bias", shape: []int{width}}}
	}
	linear := func(name string, in, out int) []paramShape {
		return []paramShape{{name + ".weight", []int{out, in}, true}, {name: name + ".bias", shape: []int{out}}}
	}
	head := func(name string, in, out int) []paramShape {
		return []paramShape{{name: name + ".weight", shape: []int{out, in}}, {name: name + ".bias", shape: []int{out}}}
	}
	attention := func(name string) []paramShape {
		return slices.Concat(linear(name+".q_proj", d, d), linear(name+".k_proj", d, d),
			linear(name+".v_proj", d, d), linear(name+".out_proj", d, d), norm(name+"_layer_norm", d))
	}
	layer := func(ffn int) []paramShape {
		return slices.Concat(attention("self_attn"), linear("fc1", d, ffn), linear("fc2", ffn, d),
			norm("final_layer_norm", d))
	}
	single := []paramShape{{"shared.weight", []int{c.VocabSize, d}, true}, {name: "beta", shape: []int{1}}}
	for _, side := range []string{"encoder.", "decoder."} {
		single = append(single, paramShape{name: side + "embed_positions.weight", shape: []int{c.MaxPositionEmbeddings, d}})
		single = slices.Concat(single, norm(side+"layernorm_embedding", d), norm(side+"layer_norm", d))
	}
	if c.LogitsBias {
		single = append(single, paramShape{name: "final_logits_bias", shape: []int{c.VocabSize}})
	}
	if c.RetrievalPooling == PoolMax {
		single = append(single, paramShape{"encoder.retrieval_proj.weight", []int{c.RetrievalDim, d}, true})
	}
	single = append(single, norm("encoder.retrieval_layer_norm", c.EmbeddingDim())...)
	if n := len(c.Labels); n > 0 {
		single = slices.Concat(single, head("classification_head.dense", d, d),
			head("classification_head.out_proj", d, n))
	}
	if c.AnswerTokens > 0 {
		single = append(single, head("qa_outputs", d, 2)...)
	}
	return single, []layerShapes{
		{"encoder.layers.", c.EncoderLayers, layer(c.EncoderFFNDim)},
		{"decoder.base_layers.", c.DecoderBaseLayers, layer(c.DecoderBaseFFNDim)},
		{"decoder.layers.", c.DecoderLayers, append(layer(c.DecoderFFNDim), attention("encoder_attn")...)},
	}
}

// paramShapes goes through the parameters that build makes.
func (c *Config) paramShapes() iter.Seq[paramShape] {
	return func(yield func(paramShape) bool) {
		single, groups := c.shapes()
		for _, p := range single {
			if !yield(p) {
				return
			}
		}
		for _, g := range groups {
			for i := range g.layers {
				for _, p := range g.params {
					if !yield(paramShape{g.prefix + strconv.Itoa(i) + "." + p.name, p.shape, p.int8}) {
						return
					}
				}
			}
		}
	}
}

// paramCount returns the number of values of all parameters, rounded where it
// exceeds 2^53.
func (c *Config) paramCount() float64 {
	count := func(params []paramShape) (n float64) {
		for _, p := range params {
			size := 1.0
			for _, dim := range p.shape {
				size *= float64(dim)
			}
			n += size
		}
		return n
	}
	single, groups := c.shapes()
	n := count(single)
	for _, g := range groups {
		n += float64(g.layers) * count(g.params)
	}
	return n
}

// checkWeights returns an error if a file does not have exactly the parameters
// of the configuration.
func (c *Config) checkWeights(f *safetensors.File) error {
	known := make(map[string]bool)
	for p := range c.paramShapes() {
		if err := checkShape(f, p.name, p.shape); err != nil {
			return fmt.Errorf("the weights are not those of %s: %w", configName, err)
		}
		known[p.name] = true
		if c.Quantization == "" || !p.int8 {
			continue
		}
		if t, _ := f.Tensor(p.name); t.DType != safetensors.I8 {
			return fmt.Errorf("tensor %s is %s, want I8 as %s says", p.name, t.DType, configName)
		}
		if err := checkShape(f, p.name+scaleSuffix, p.shape[:1]); err != nil {
			return err
		}
		known[p.name+scaleSuffix] = true
	}
	if err := checkNames(f, known); err != nil {
		return fmt.Errorf("the weights are not those of %s: %w", configName, err)
	}
	return nil
}
