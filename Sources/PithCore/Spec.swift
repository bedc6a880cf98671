/// What to do, as a line of text: `name:option=value,option=value`, composed left to right with `+`.
///
/// `sparsegpt:pattern=2:4+eora:rank=16` has two stages. Values may hold colons, not commas or plus signs.
public struct Spec: Hashable, Sendable, CustomStringConvertible {
    /// One method with the options that were given.
    public struct Stage: Hashable, Sendable, CustomStringConvertible {
        /// The method's identifier.
        public var name: String
        /// The options in the order given.
        public var options: [(name: String, value: String)]

        /// Creates a stage.
        public init(name: String, options: [(name: String, value: String)] = []) {
            self.name = name
            self.options = options
        }

        /// The stage as text; parsing it gives the stage back.
        public var description: String {
            guard !options.isEmpty else { return name }
            return name + ":" + options.map { "\($0.name)=\($0.value)" }.joined(separator: ",")
        }

        /// Equal when their texts are.
        public static func == (left: Stage, right: Stage) -> Bool { left.description == right.description }
        /// Hashes the text.
        public func hash(into hasher: inout Hasher) { hasher.combine(description) }
    }

    /// The methods, first applied first.
    public var stages: [Stage]

    /// Creates a spec from stages.
    public init(stages: [Stage]) { self.stages = stages }

    /// Bytes of a text that are read at most.
    private static let sizeLimit = 1 << 14

    /// Parses `text`; `none` is the spec without stages.
    public init(parsing text: String) throws(PithError) {
        stages = []
        guard text.utf8.count <= Self.sizeLimit else {
            throw .usage("the spec is longer than \(ByteCount(Self.sizeLimit))")
        }
        if text == "none" { return }
        for part in text.split(separator: "+", omittingEmptySubsequences: false) {
            stages.append(try Self.parseStage(String(part), in: text))
        }
    }

    private static func parseStage(_ part: String, in text: String) throws(PithError) -> Stage {
        let place = "spec '\(text)'"
        let pieces = part.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard let name = pieces.first, !name.isEmpty else {
            throw .usage("a stage has no name", at: place, remedy: "write name:option=value+name:option=value")
        }
        var stage = Stage(name: String(name))
        guard pieces.count == 2 else { return stage }
        for item in pieces[1].split(separator: ",", omittingEmptySubsequences: false) {
            let sides = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard sides.count == 2, !sides[0].isEmpty, !sides[1].isEmpty else {
                throw .usage("'\(item)' is not option=value", at: place, remedy: "for example rtn:bits=4,group=64")
            }
            if stage.options.contains(where: { $0.name == sides[0] }) {
                throw .usage("option '\(sides[0])' is given twice", at: place)
            }
            stage.options.append((String(sides[0]), String(sides[1])))
        }
        return stage
    }

    /// The spec as text; parsing it gives the spec back.
    public var description: String {
        stages.isEmpty ? "none" : stages.map(\.description).joined(separator: "+")
    }
}
