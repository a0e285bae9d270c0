// Command pbgen writes paymentpb, the protobuf form of payment.fbs, without
// protoc: it hands the descriptor to the Go generator itself.
package main

import (
	"fmt"
	"os"

	"google.golang.org/protobuf/cmd/protoc-gen-go/internal_gengo"
	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

func main() {
	if err := run("paymentpb/payment.pb.go"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(path string) error {
	file := &descriptorpb.FileDescriptorProto{
		Name:    proto.String("payment.proto"),
		Package: proto.String("bench.payment"),
		Syntax:  proto.String("proto3"),
		Options: &descriptorpb.FileOptions{GoPackage: proto.String("github.com/verbatim-es/verbatim/bench/codec/paymentpb")},
		MessageType: []*descriptorpb.DescriptorProto{{Name: proto.String("Paid"), Field: []*descriptorpb.FieldDescriptorProto{
			field(1, "account", descriptorpb.FieldDescriptorProto_TYPE_STRING),
			field(2, "reference", descriptorpb.FieldDescriptorProto_TYPE_STRING),
			field(3, "amount", descriptorpb.FieldDescriptorProto_TYPE_INT64),
			field(4, "currency", descriptorpb.FieldDescriptorProto_TYPE_UINT32),
			field(5, "at", descriptorpb.FieldDescriptorProto_TYPE_INT64),
			field(6, "settled", descriptorpb.FieldDescriptorProto_TYPE_BOOL),
		}}},
	}
	plugin, err := protogen.Options{}.New(&pluginpb.CodeGeneratorRequest{
		FileToGenerate: []string{file.GetName()},
		ProtoFile:      []*descriptorpb.FileDescriptorProto{file},
	})
	if err != nil {
		return err
	}
	content, err := internal_gengo.GenerateFile(plugin, plugin.Files[0]).Content()
	if err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o644)
}

func field(number int32, name string, typ descriptorpb.FieldDescriptorProto_Type) *descriptorpb.FieldDescriptorProto {
	return &descriptorpb.FieldDescriptorProto{
		Name: proto.String(name), JsonName: proto.String(name), Number: proto.Int32(number), Type: typ.Enum(),
		Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
	}
}
