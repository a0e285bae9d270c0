// The entry point of es's own flatc: upstream's compiler with the generators
// that es needs (Go, binary schemas, JSON) and none of the others, which would
// quadruple the time to compile it. Compiled by package flatc, never by cgo.

#include <cstdio>
#include <cstdlib>
#include <string>

#include "flatbuffers/flatc.h"
#include "idl_gen_binary.h"
#include "idl_gen_go.h"
#include "idl_gen_text.h"

namespace flatbuffers {

void LogCompilerWarn(const std::string& message) {
  fprintf(stderr, "\nwarning:\n  %s\n\n", message.c_str());
}

void LogCompilerError(const std::string& message) {
  fprintf(stderr, "\nerror:\n  %s\n\n", message.c_str());
  exit(1);
}

// The Go generator refers to gRPC's; leaving that out saves its sources.
bool GenerateGoGRPC(const Parser&, const std::string&, const std::string&) {
  return false;
}

}  // namespace flatbuffers

static void Warn(const flatbuffers::FlatCompiler*, const std::string& message,
                 bool) {
  flatbuffers::LogCompilerWarn(message);
}

static void Error(const flatbuffers::FlatCompiler*, const std::string& message,
                  bool, bool) {
  flatbuffers::LogCompilerError(message);
}

int main(int argc, const char* argv[]) {
  flatbuffers::FlatCompiler::InitParams params;
  params.warn_fn = Warn;
  params.error_fn = Error;
  flatbuffers::FlatCompiler flatc(params);

  flatc.RegisterCodeGenerator({"b", "binary", "", "Write binaries"},
                              flatbuffers::NewBinaryCodeGenerator());
  flatc.RegisterCodeGenerator({"g", "go", "", "Write Go"},
                              flatbuffers::NewGoCodeGenerator());
  flatc.RegisterCodeGenerator({"t", "json", "", "Write JSON"},
                              flatbuffers::NewTextCodeGenerator());

  flatbuffers::FlatCOptions options =
      flatc.ParseFromCommandLineArguments(argc, argv);
  flatbuffers::RealFileSaver saver;
  options.opts.file_saver = &saver;
  return flatc.Compile(options);
}
