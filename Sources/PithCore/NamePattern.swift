/// A pattern of names of files or parameters as Python's `fnmatch` has it: `*`, `?`, `[abc]`, `[a-c]`, `[!a]`; `*` crosses
/// slashes.
public struct NamePattern: Sendable, CustomStringConvertible {
    fileprivate enum Element {
        case anything
        case one
        case literal(Unicode.Scalar)
        case set([ClosedRange<Unicode.Scalar>], isNegated: Bool)
    }

    /// As it was written.
    public let description: String
    private let elements: [Element]

    /// Reads a pattern; one that ends in a slash stands for all that lies in that folder.
    public init(_ text: String) {
        description = text
        let scalars = Array((text.hasSuffix("/") ? text + "*" : text).unicodeScalars)
        var (elements, place) = ([Element](), 0)
        while place < scalars.count {
            switch scalars[place] {
            case "*": elements.append(.anything)
            case "?": elements.append(.one)
            case "[":
                if let (set, end) = Self.set(scalars, place) {
                    elements.append(set)
                    place = end
                } else {
                    elements.append(.literal("["))
                }
            case let scalar: elements.append(.literal(scalar))
            }
            place += 1
        }
        self.elements = elements
    }

    /// The set that begins at a bracket, and where it ends; nil where none closes it.
    private static func set(_ scalars: [Unicode.Scalar], _ start: Int) -> (Element, end: Int)? {
        let isNegated = start + 1 < scalars.count && scalars[start + 1] == "!"
        let first = start + (isNegated ? 2 : 1)
        // A bracket that comes first stands for itself.
        guard first < scalars.count, let end = scalars[(first + 1)...].firstIndex(of: "]") else { return nil }
        var (ranges, place) = ([ClosedRange<Unicode.Scalar>](), first)
        while place < end {
            if place + 2 < end, scalars[place + 1] == "-" {
                if scalars[place] <= scalars[place + 2] { ranges.append(scalars[place]...scalars[place + 2]) }
                place += 3
            } else {
                ranges.append(scalars[place]...scalars[place])
                place += 1
            }
        }
        return (.set(ranges, isNegated: isNegated), end)
    }

    /// Whether the whole of a name is as the pattern says.
    public func matches(_ name: String) -> Bool {
        let scalars = Array(name.unicodeScalars)
        var (place, element) = (0, 0)
        // Where the last star stands, and how far it reaches: only that one may have to reach further.
        var star: (element: Int, place: Int)?
        while place < scalars.count {
            if element < elements.count, case .anything = elements[element] {
                star = (element, place)
                element += 1
            } else if element < elements.count, elements[element].matches(scalars[place]) {
                (element, place) = (element + 1, place + 1)
            } else if let last = star {
                star = (last.element, last.place + 1)
                (element, place) = (last.element + 1, last.place + 1)
            } else {
                return false
            }
        }
        return elements[element...].allSatisfy { if case .anything = $0 { true } else { false } }
    }
}

extension NamePattern.Element {
    fileprivate func matches(_ scalar: Unicode.Scalar) -> Bool {
        switch self {
        case .anything: false
        case .one: true
        case .literal(let literal): literal == scalar
        case .set(let ranges, let isNegated): ranges.contains { $0.contains(scalar) } != isNegated
        }
    }
}
