// What we use of libpg-query below its own entry point: the WebAssembly factory, so that an instance can be replaced.
declare module 'libpg-query/wasm/libpg-query.js' {
  export interface ParserInstance {
    readonly HEAPU8: Uint8Array;
    _malloc(byteCount: number): number;
    _free(pointer: number): void;
    _wasm_parse_query_raw(text: number): number;
    _wasm_free_parse_result(result: number): void;
    /** A JSON text that starts with `{`, or the message of an error. */
    _wasm_parse_plpgsql(text: number): number;
    _wasm_scan(text: number): number;
    _wasm_free_string(text: number): void;
    lengthBytesUTF8(text: string): number;
    stringToUTF8(text: string, pointer: number, byteCount: number): void;
    UTF8ToString(pointer: number): string;
    getValue(pointer: number, type: 'i32'): number;
  }
  export interface ParserOptions {
    /** Instantiates at once, in place of reading and compiling the file again. */
    instantiateWasm?(
      imports: WebAssemblyImports,
      receive: (instance: WebAssemblyInstance, module: WebAssemblyModule) => void,
    ): WebAssemblyExports;
    /** Where its file is: `directory` ends in a slash. */
    locateFile?(name: string, directory: string): string;
  }
  export default function createParser(options: ParserOptions): Promise<ParserInstance>;
}

// The part of WebAssembly that makes an instance at once; Node's types have it only under the DOM's.
type WebAssemblyImports = Readonly<Record<string, unknown>>;
type WebAssemblyExports = Readonly<Record<string, unknown>>;
interface WebAssemblyModule {
  readonly module: never;
}
interface WebAssemblyInstance {
  readonly exports: WebAssemblyExports;
}
declare var WebAssembly: {
  readonly Module: new (code: Uint8Array) => WebAssemblyModule;
  readonly Instance: new (module: WebAssemblyModule, imports: WebAssemblyImports) => WebAssemblyInstance;
};
