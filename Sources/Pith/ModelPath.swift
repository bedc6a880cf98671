import PithBuiltIn
import PithCore
import PithHub

/// Models by what a person calls them.
public enum ModelPath {
    /// Where the model is that `name` stands for: what stands at this path; else a built-in model, such as `nano`; else
    /// `org/name`, `org/name@revision` or `org/name/FILE.gguf` in the cache of hubs. Throws if there is none.
    public static func find(_ name: String) throws(PithError) -> String {
        if Files.exists(name) { return name }
        if let builtIn = BuiltIn.modelFolder(name) { return builtIn }
        let remedy =
            "give a model folder, a .gguf file, or a built-in model: \(BuiltIn.modelNames.joined(separator: ", "))"
        guard let address = try? RepositoryAddress(parsing: name) else {
            throw .data("does not exist", at: name, remedy: remedy)
        }
        let cache = HubCache(root: HubSettings.cacheFolder())
        guard cache.snapshot(address) != nil else {
            throw .data(
                "exists neither here nor in the cache of hubs", at: name,
                remedy: "'pith pull \(address)' fetches it if a hub has it; or \(remedy)")
        }
        return try cache.model(address)
    }
}
