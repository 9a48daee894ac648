// What GitOps tools say of objects: kstatus, which Flux asks, and a health.lua in the interpreter
// that Argo CD has, with the libraries that Argo CD gives it. Objects come as a JSON array on stdin.
package main

import (
	"encoding/json"
	"io"
	"os"

	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kubejson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/klog/v2"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

type verdict struct {
	Kstatus string            `json:"kstatus"`
	Health  map[string]string `json:"health"`
}

func main() {
	script, err := os.ReadFile(os.Args[1])
	if err != nil {
		klog.Fatal(err)
	}
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		klog.Fatal(err)
	}
	var objects []map[string]any
	if err := kubejson.Unmarshal(text, &objects); err != nil {
		klog.Fatal(err)
	}
	verdicts := []verdict{}
	for _, object := range objects {
		said, err := status.Compute(&unstructured.Unstructured{Object: object})
		if err != nil {
			klog.Fatal(err)
		}
		verdicts = append(verdicts, verdict{string(said.Status), health(string(script), object)})
	}
	if err := json.NewEncoder(os.Stdout).Encode(verdicts); err != nil {
		klog.Fatal(err)
	}
}

func health(script string, object map[string]any) map[string]string {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	libraries := map[string]lua.LGFunction{
		lua.LoadLibName: lua.OpenPackage, lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable,
	}
	for name, open := range libraries {
		call := lua.P{Fn: state.NewFunction(open), NRet: 0, Protect: true}
		if err := state.CallByParam(call, lua.LString(name)); err != nil {
			klog.Fatal(err)
		}
	}
	state.SetGlobal("obj", value(state, object))
	if err := state.DoString(script); err != nil {
		klog.Fatal(err)
	}
	found := map[string]string{}
	state.CheckTable(-1).ForEach(func(key, one lua.LValue) { found[key.String()] = one.String() })
	return found
}

func value(state *lua.LState, of any) lua.LValue {
	switch one := of.(type) {
	case bool:
		return lua.LBool(one)
	case string:
		return lua.LString(one)
	case int64:
		return lua.LNumber(one)
	case float64:
		return lua.LNumber(one)
	case []any:
		table := state.CreateTable(len(one), 0)
		for _, item := range one {
			table.Append(value(state, item))
		}
		return table
	case map[string]any:
		table := state.CreateTable(0, len(one))
		for key, item := range one {
			table.RawSetString(key, value(state, item))
		}
		return table
	}
	return lua.LNil
}
