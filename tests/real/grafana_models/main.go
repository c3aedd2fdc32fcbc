// Reads documents as JSON, {"kind": [document, ...]}, and decodes each strictly into the model that
// Grafana publishes of its own API; prints what is wrong, a line each. Exit 1 if anything is.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"

	"github.com/go-openapi/strfmt"
	"github.com/grafana/grafana-openapi-client-go/models"
)

type model interface {
	Validate(formats strfmt.Registry) error
}

var kinds = map[string]func() model{
	"groups": func() model { return &models.AlertRuleGroup{} },
	"points": func() model { return &models.EmbeddedContactPoint{} },
	"routes": func() model { return &models.Route{} },
	"times":  func() model { return &models.MuteTimeInterval{} },
}

func wrong(text json.RawMessage, into model) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	return into.Validate(strfmt.Default)
}

func main() {
	var documents map[string][]json.RawMessage
	if err := json.NewDecoder(os.Stdin).Decode(&documents); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	code := 0
	for kind, list := range documents {
		for number, text := range list {
			if err := wrong(text, kinds[kind]()); err != nil {
				fmt.Printf("%s %d: %v\n", kind, number, err)
				code = 1
			}
		}
	}
	os.Exit(code)
}
