/// What a hub's client tells while it works.
public enum HubEvent: Sendable {
    /// Work begins of so many bytes; also when it begins anew.
    case begin(total: Int)
    /// So many more bytes came.
    case received(Int)
    /// Something that a person should know.
    case notice(String)
}
