import PithCore

/// A template in Jinja's language, as `transformers` sets it up for conversations: `trim_blocks`, `lstrip_blocks`, loop
/// controls, `generation` blocks, `tojson` without escapes for HTML, `raise_exception` and `strftime_now`.
///
/// Not supported, and refused by name: `include`, `import`, `extends`, `block`, filters for HTML, filters that use chance.
/// A template changes nothing outside itself and is bounded in time and size. Source: jinja.palletsprojects.com, 3.1.
public struct JinjaTemplate: Sendable {
    private let statements: JinjaStatements

    /// What has no values of its own that change, so that threads may share it.
    private struct JinjaStatements: @unchecked Sendable { let list: [JinjaStatement] }

    /// Reads a template. What is wrong is an error that names the line.
    public init(_ template: String) throws(PithError) {
        statements = JinjaStatements(list: try JinjaParser.statements(of: template))
    }

    /// The text that the template makes of some variables.
    public func render(_ variables: JSONObject, clock: JinjaClock = JinjaClock()) throws(PithError) -> String {
        var values: [String: JinjaValue] = [:]
        for (name, value) in variables.members { values[name] = JinjaValue(value) }
        return try JinjaRenderer.render(statements.list, variables: values, now: clock)
    }
}
