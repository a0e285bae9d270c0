package wampbus

import (
	"fmt"
	"math"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
)

// sanitize judges a message that a client sent, before the router sees it, and
// strips it of everything the router would act upon and the protocol does not
// need. The router trusts its input: an option of the wrong type can panic it,
// a timeout outlives it, a progressive call leaks in it. An error ends the
// session.
func sanitize(m wamp.Message) error {
	switch m := m.(type) {
	case *wamp.Hello:
		details, err := helloDetails(m.Details)
		m.Details = details
		return err
	case *wamp.Call:
		options, err := callOptions(m.Options)
		m.Options = options
		return err
	case *wamp.Subscribe:
		match, err := optionText(m.Options, wamp.OptMatch, wamp.MatchExact, wamp.MatchPrefix, wamp.MatchWildcard)
		m.Options = keep(wamp.OptMatch, match)
		return err
	case *wamp.Cancel:
		mode, err := optionText(m.Options, wamp.OptMode, wamp.CancelModeSkip, wamp.CancelModeKill, wamp.CancelModeKillNoWait)
		m.Options = keep(wamp.OptMode, mode)
		return err
	case *wamp.Publish:
		acknowledge, err := optionFlag(m.Options, wamp.OptAcknowledge)
		m.Options = wamp.Dict{wamp.OptAcknowledge: acknowledge}
		m.Arguments, m.ArgumentsKw = nil, nil // it will be refused
		return err
	case *wamp.Register:
		m.Options = wamp.Dict{} // it will be refused
	case *wamp.Authenticate, *wamp.Goodbye, *wamp.Abort, *wamp.Unsubscribe, *wamp.Unregister:
	default:
		return fmt.Errorf("%s is not for clients to send: they publish and register nothing here", m.MessageType())
	}
	return nil
}

// helloDetails keeps what authentication and the router need of a HELLO. Roles
// are kept without their features: what the router would do for them, for a
// caller with progressive calls for example, is not offered.
func helloDetails(d wamp.Dict) (wamp.Dict, error) {
	kept := wamp.Dict{}
	roles, err := optionDict(d, "roles")
	if err != nil {
		return nil, err
	}
	keptRoles := wamp.Dict{}
	for _, role := range []string{wamp.RoleCaller, wamp.RoleCallee, wamp.RolePublisher, wamp.RoleSubscriber} {
		if _, ok := roles[role]; ok {
			keptRoles[role] = wamp.Dict{}
		}
	}
	kept["roles"] = keptRoles
	for _, name := range []string{"authid", "agent"} {
		text, err := optionText(d, name)
		if err != nil {
			return nil, err
		}
		if text != "" {
			kept[name] = text
		}
	}
	extra, err := optionDict(d, "authextra")
	if err != nil {
		return nil, err
	}
	if extra != nil {
		kept["authextra"] = wamp.Dict(extra)
	}
	methods, err := textList(d["authmethods"])
	if err != nil {
		return nil, fmt.Errorf("authmethods: %w", err)
	}
	if len(methods) > 0 {
		kept["authmethods"] = methods
	}
	return kept, nil
}

func textList(v any) (wamp.List, error) {
	if v == nil {
		return nil, nil
	}
	list, ok := v.([]any)
	if !ok {
		return nil, fmt.Errorf("must be a list of strings")
	}
	for _, e := range list {
		if _, ok := e.(string); !ok {
			return nil, fmt.Errorf("must be a list of strings")
		}
	}
	return list, nil
}

// callOptions keeps the timeout, which the bus observes itself.
func callOptions(o wamp.Dict) (wamp.Dict, error) {
	for name := range o {
		switch name {
		case wamp.OptPPTScheme, wamp.OptPPTSerializer, wamp.OptPPTCipher, wamp.OptPPTKeyId:
			return nil, fmt.Errorf("option %q: payload passthru mode is not offered", name)
		}
	}
	if progress, err := optionFlag(o, wamp.OptProgress); progress || err != nil {
		return nil, fmt.Errorf("option %q: progressive calls are not offered", wamp.OptProgress)
	}
	timeout, ok := o[wamp.OptTimeout]
	if !ok {
		return wamp.Dict{}, nil
	}
	ms, ok := codec.Integer(timeout)
	if !ok || ms < 0 || ms > math.MaxInt32 {
		return nil, fmt.Errorf("option %q must be a number of milliseconds", wamp.OptTimeout)
	}
	return wamp.Dict{wamp.OptTimeout: ms}, nil
}

func keep(name, value string) wamp.Dict {
	if value == "" {
		return wamp.Dict{}
	}
	return wamp.Dict{name: value}
}

// optionText returns a string option, "" when it is absent. With values given,
// it must be one of them.
func optionText(d wamp.Dict, name string, values ...string) (string, error) {
	v, ok := d[name]
	if !ok || v == nil {
		return "", nil
	}
	text, ok := v.(string)
	if !ok {
		return "", fmt.Errorf("option %q must be a string", name)
	}
	for _, allowed := range values {
		if text == allowed {
			return text, nil
		}
	}
	if len(values) > 0 {
		return "", fmt.Errorf("option %q must be one of %q, got %q", name, values, text)
	}
	return text, nil
}

func optionFlag(d wamp.Dict, name string) (bool, error) {
	v, ok := d[name]
	if !ok || v == nil {
		return false, nil
	}
	flag, ok := v.(bool)
	if !ok {
		return false, fmt.Errorf("option %q must be true or false", name)
	}
	return flag, nil
}

func optionDict(d wamp.Dict, name string) (map[string]any, error) {
	v, ok := d[name]
	if !ok || v == nil {
		return nil, nil
	}
	dict, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%q must be a dictionary", name)
	}
	return dict, nil
}

// describe is the WELCOME that a client gets: the router's, with the features
// that this bus really offers.
func describe(w *wamp.Welcome) *wamp.Welcome {
	details := make(wamp.Dict, len(w.Details))
	for name, value := range w.Details {
		details[name] = value
	}
	details["roles"] = wamp.Dict{
		wamp.RoleBroker: wamp.Dict{"features": wamp.Dict{wamp.FeaturePatternSub: true}},
		wamp.RoleDealer: wamp.Dict{"features": wamp.Dict{wamp.FeatureCallCanceling: true, wamp.FeatureCallTimeout: true}},
	}
	return &wamp.Welcome{ID: w.ID, Details: details}
}
