// What we use of libpg-query below its own entry point: the WebAssembly factory, so that an instance can be replaced.
declare module 'libpg-query/wasm/libpg-query.js' {
  export interface ParserInstance {
    readonly HEAPU8: Uint8Array;
    _malloc(byteCount: number): number;
    _free(pointer: number): void;
    _wasm_parse_query_raw(text: number): number;
    _wasm_free_parse_result(result: number): void;
    lengthBytesUTF8(text: string): number;
    stringToUTF8(text: string, pointer: number, byteCount: number): void;
    UTF8ToString(pointer: number): string;
    getValue(pointer: number, type: 'i32'): number;
  }
  export default function createParser(): Promise<ParserInstance>;
}
