import PithCore
import PithFormats

/// The folder in which a model is compressed, beside the one that it becomes: what survives the end of the program.
///
/// In it are the folder of the model, which only lacks parts; a record of each part; the hidden states of the calibration
/// text; and what the work began with, so that it goes on with nothing else.
struct CompressionWork {
    /// Where it lies.
    let folder: String
    private let lock: FolderHandle

    /// The folder of the model.
    var modelFolder: String { joinPath(folder, Self.modelName) }
    private static let modelName = "model"
    /// The hidden states at the entrance of the next layer.
    var hiddenStatesPath: String { joinPath(folder, "hidden-states.safetensors") }

    /// Where work on a folder lies.
    static func folder(for target: String) -> String {
        (target.count > 1 && target.hasSuffix("/") ? String(target.dropLast()) : target) + ".part"
    }

    /// The recipe of work on a folder; nil if there is no work, or none with a recipe.
    static func recipe(for target: String) throws(PithError) -> Recipe? {
        let path = inputsPath(folder(for: target))
        guard Files.exists(path) else { return nil }
        let text = try JSONReader(JSONValue(contentsOf: path)).optional("recipe")?.text()
        return try text.map { (text) throws(PithError) in try Recipe(parsing: text) }
    }

    private static func inputsPath(_ folder: String) -> String { joinPath(folder, "inputs.json") }

    /// Throws unless `target` can be begun, or gone on with if that `isResumed`.
    static func check(_ target: String, isResumed: Bool) throws(PithError) {
        let folder = folder(for: target)
        guard !Files.exists(target) else {
            throw .usage("exists already", at: target, remedy: "remove it or choose another name")
        }
        if isResumed && !Files.exists(folder) {
            throw .usage("there is no work to go on with", at: folder, remedy: "leave --resume out")
        }
        if !isResumed && Files.exists(folder) {
            throw .usage(
                "holds work that was begun", at: folder,
                remedy: "go on with --resume, or remove this folder to begin anew")
        }
    }

    /// Removes what is left of work on `target` that was put in its place; false if there is none.
    static func removeFinished(for target: String) throws(PithError) -> Bool {
        let folder = folder(for: target)
        guard Files.exists(target), Files.exists(inputsPath(folder)), !Files.exists(joinPath(folder, modelName)) else {
            return false
        }
        try Files.remove(folder)
        return true
    }

    /// Begins work on `target` with some inputs, or goes on with it if they are the same.
    init(on target: String, inputs: JSONObject, isResumed: Bool) throws(PithError) {
        try Self.check(target, isResumed: isResumed)
        folder = Self.folder(for: target)
        if !isResumed { try Files.makeFolder(folder) }
        lock = try FolderHandle(BytePath(folder))
        guard lock.lock() else { throw .usage("another program works in it", at: folder) }
        let path = Self.inputsPath(folder)
        guard Files.exists(path) else {
            try JSONValue.object(inputs).write(to: path)
            return
        }
        let differences = inputs.differences(from: try JSONReader(JSONValue(contentsOf: path)).object())
        guard differences.isEmpty else {
            throw .usage(
                "the work was begun with other inputs: \(differences.joined(separator: ", "))", at: folder,
                remedy: "go on with the old ones, or remove this folder to begin anew")
        }
    }

    /// Puts the model in its place and removes the rest.
    func finish(at target: String) throws(PithError) {
        try Files.move(modelFolder, to: target)
        try remove()
    }

    /// Removes all that was done.
    func remove() throws(PithError) { try Files.remove(folder) }
}
