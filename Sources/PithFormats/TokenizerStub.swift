import PithCore
public struct Tokenizer: Sendable { public init(folder: String) throws(PithError) {}
 public var vocabularySize: Int { 0 }
 public func encode(_ t: String, addingSpecialTokens: Bool) -> [Int] { [] }
 public func makeStreamingDecoder(skippingSpecialTokens: Bool) -> StreamingDecoder { StreamingDecoder() } }
public struct StreamingDecoder { public mutating func append(_ t: Int) -> String { "" }
 public mutating func finish() -> String { "" } }
public func importLlama2C(model: String, tokenizer: String, into: String) throws(PithError) {}
