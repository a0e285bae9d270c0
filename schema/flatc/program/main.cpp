// The entry point of es's own flatc: upstream's compiler with the generators
// that es needs (Go, binary schemas, JSON), those of the languages that were
// asked for (ES_LANGUAGE_…), and none of the others, which would quadruple the
// time to compile it. Compiled by package flatc, never by cgo.

#include <cstdio>
#include <cstdlib>
#include <string>

#include "flatbuffers/flatc.h"
#include "idl_gen_binary.h"
#include "idl_gen_go.h"
#include "idl_gen_text.h"

#ifdef ES_LANGUAGE_CPP
#include "idl_gen_cpp.h"
#endif
#ifdef ES_LANGUAGE_CSHARP
#include "idl_gen_csharp.h"
#endif
#ifdef ES_LANGUAGE_DART
#include "idl_gen_dart.h"
#endif
#ifdef ES_LANGUAGE_JAVA
#include "idl_gen_java.h"
#endif
#ifdef ES_LANGUAGE_KOTLIN
#include "idl_gen_kotlin.h"
#endif
#ifdef ES_LANGUAGE_LUA
#include "bfbs_gen_lua.h"
#endif
#ifdef ES_LANGUAGE_PHP
#include "idl_gen_php.h"
#endif
#ifdef ES_LANGUAGE_PYTHON
#include "idl_gen_python.h"
#endif
#ifdef ES_LANGUAGE_RUST
#include "idl_gen_rust.h"
#endif
#ifdef ES_LANGUAGE_SWIFT
#include "idl_gen_swift.h"
#endif
#ifdef ES_LANGUAGE_TS
#include "idl_gen_ts.h"
#endif

namespace flatbuffers {

void LogCompilerWarn(const std::string& message) {
  fprintf(stderr, "\nwarning:\n  %s\n\n", message.c_str());
}

void LogCompilerError(const std::string& message) {
  fprintf(stderr, "\nerror:\n  %s\n\n", message.c_str());
  exit(1);
}

// Generators refer to gRPC's; leaving that out saves its sources.
#define ES_NO_GRPC(name)                                                 \
  bool name(const Parser&, const std::string&, const std::string&) { \
    return false;                                                        \
  }
ES_NO_GRPC(GenerateGoGRPC)
ES_NO_GRPC(GenerateCppGRPC)
ES_NO_GRPC(GenerateJavaGRPC)
ES_NO_GRPC(GeneratePythonGRPC)
ES_NO_GRPC(GenerateSwiftGRPC)
ES_NO_GRPC(GenerateTSGRPC)

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
#ifdef ES_LANGUAGE_CPP
  flatc.RegisterCodeGenerator({"", "cpp", "", "Write C++"},
                              flatbuffers::NewCppCodeGenerator());
#endif
#ifdef ES_LANGUAGE_CSHARP
  flatc.RegisterCodeGenerator({"", "csharp", "", "Write C#"},
                              flatbuffers::NewCSharpCodeGenerator());
#endif
#ifdef ES_LANGUAGE_DART
  flatc.RegisterCodeGenerator({"", "dart", "", "Write Dart"},
                              flatbuffers::NewDartCodeGenerator());
#endif
#ifdef ES_LANGUAGE_JAVA
  flatc.RegisterCodeGenerator({"", "java", "", "Write Java"},
                              flatbuffers::NewJavaCodeGenerator());
#endif
#ifdef ES_LANGUAGE_KOTLIN
  flatc.RegisterCodeGenerator({"", "kotlin", "", "Write Kotlin"},
                              flatbuffers::NewKotlinCodeGenerator());
#endif
#ifdef ES_LANGUAGE_LUA
  flatc.RegisterCodeGenerator(
      {"", "lua", "", "Write Lua"},
      flatbuffers::NewLuaBfbsGenerator(flatbuffers::FLATBUFFERS_VERSION()));
#endif
#ifdef ES_LANGUAGE_PHP
  flatc.RegisterCodeGenerator({"", "php", "", "Write PHP"},
                              flatbuffers::NewPhpCodeGenerator());
#endif
#ifdef ES_LANGUAGE_PYTHON
  flatc.RegisterCodeGenerator({"", "python", "", "Write Python"},
                              flatbuffers::NewPythonCodeGenerator());
#endif
#ifdef ES_LANGUAGE_RUST
  flatc.RegisterCodeGenerator({"", "rust", "", "Write Rust"},
                              flatbuffers::NewRustCodeGenerator());
#endif
#ifdef ES_LANGUAGE_SWIFT
  flatc.RegisterCodeGenerator({"", "swift", "", "Write Swift"},
                              flatbuffers::NewSwiftCodeGenerator());
#endif
#ifdef ES_LANGUAGE_TS
  flatc.RegisterCodeGenerator({"", "ts", "", "Write TypeScript"},
                              flatbuffers::NewTsCodeGenerator());
#endif

  flatbuffers::FlatCOptions options =
      flatc.ParseFromCommandLineArguments(argc, argv);
  flatbuffers::RealFileSaver saver;
  options.opts.file_saver = &saver;
  return flatc.Compile(options);
}
