import PithCore
import PithFormats
import PithTensor

/// One key of a file of settings: where its value lies and what is permitted.
struct SettingField<Root> {
    enum Place {
        case integer(WritableKeyPath<Root, Int>, ClosedRange<Int>)
        case real(WritableKeyPath<Root, Double>, ClosedRange<Double>)
        case flag(WritableKeyPath<Root, Bool>)
        /// A type of floats; a key that is missing is nil.
        case type(WritableKeyPath<Root, ElementType?>)
    }

    let name: String
    let place: Place
    /// Whether a run must go on with the value that it began with.
    var decidesResult = true

    private static var types: [(name: String, type: ElementType)] {
        [("bfloat16", .bfloat16), ("float16", .float16), ("float32", .float32)]
    }

    /// Takes the value from a file that has it.
    func read(_ reader: JSONReader, into root: inout Root) throws(PithError) {
        guard let value = try reader.optional(name) else { return }
        switch place {
        case .integer(let path, let range): root[keyPath: path] = try value.integer(in: range)
        case .real(let path, let range): root[keyPath: path] = try value.real(in: range)
        case .flag(let path): root[keyPath: path] = try value.flag()
        case .type(let path):
            let name = try value.text()
            guard let type = Self.types.first(where: { $0.name == name })?.type else {
                throw value.failure(
                    "'\(name.shortened)' is no type to write",
                    remedy: Self.types.map(\.name).joined(separator: ", "))
            }
            root[keyPath: path] = type
        }
    }

    /// The value as a file has it; nil for none.
    func value(of root: Root) -> JSONValue? {
        switch place {
        case .integer(let path, _): .integer(root[keyPath: path])
        case .real(let path, _): .real(root[keyPath: path])
        case .flag(let path): .bool(root[keyPath: path])
        case .type(let path): Self.types.first { $0.type == root[keyPath: path] }.map { .string($0.name) }
        }
    }

    /// Refuses a value that is not permitted.
    func check(_ root: Root) throws(PithError) {
        switch place {
        case .integer(let path, let range): try require(name, root[keyPath: path], in: range)
        case .real(let path, let range): try require(name, root[keyPath: path], in: range)
        case .flag, .type: break
        }
    }
}

/// Refuses a setting out of its range.
func require<Value: Comparable>(_ name: String, _ value: Value, in range: ClosedRange<Value>) throws(PithError) {
    guard range.contains(value) else {
        throw .usage(
            "\(name) is \(value)", at: "training configuration",
            remedy: "it should be in \(range.lowerBound)…\(range.upperBound)")
    }
}

/// The keys of a file of settings with `name=value` before them. What is unknown is refused.
func settingKeys(_ json: JSONValue, overrides: [String], known: [String]) throws(PithError) -> JSONObject {
    var object = try JSONReader(json).object()
    for text in overrides { try apply(text, to: &object) }
    guard let wrong = object.keys.first(where: { !known.contains($0) }) else { return object }
    throw .data("is unknown", at: "key \(wrong)", remedy: "known are \(known.joined(separator: ", "))")
}

/// `name=value`; the value is JSON, or a bare word.
private func apply(_ text: String, to object: inout JSONObject) throws(PithError) {
    let sides = text.split(separator: "=", maxSplits: 1).map(String.init)
    guard sides.count == 2 else {
        throw .usage("'\(text)' is not name=value", remedy: "for example steps=2000")
    }
    do { object[sides[0]] = try JSONValue(parsing: sides[1]) } catch {
        guard sides[1].first?.isLetter == true else { throw error.within("the value of \(sides[0])") }
        object[sides[0]] = .string(sides[1])
    }
}
