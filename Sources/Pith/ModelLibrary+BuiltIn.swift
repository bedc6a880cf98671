import PithBuiltIn
import PithCore
import PithModels
import PithPredictors
import PithWeights
import Synchronization

extension ModelLibrary {
    /// Opens model folders by path and built-in models by name, each once.
    public static let standard: ModelLibrary = {
        let opened = OpenedModels()
        return ModelLibrary(
            { (name, pool) throws(PithError) in try opened.open(name, pool: pool) }, primer: readPrimer,
            network: readNetwork)
    }()

    @Sendable private static func readPrimer(_ number: Int) throws(PithError) -> [UInt8] {
        // Its size is asked for with every segment.
        if let text = primers.withLock({ $0[number] }) { return text }
        let text = try read(BuiltIn.primerPath(number), "the primer \(number)")
        primers.withLock { $0[number] = text }
        return text
    }

    private static let primers = Mutex<[Int: [UInt8]]>([:])

    @Sendable private static func readNetwork(_ number: Int) throws(PithError) -> [UInt8] {
        try read(BuiltIn.networkPath(number), "the first weights \(number) of the network")
    }

    private static func read(_ path: String?, _ what: String) throws(PithError) -> [UInt8] {
        guard let path else { throw .fault("\(what): not installed with the program") }
        return try Files.bytes(path)
    }

    /// The same, with the model of `folder` in the place of all others if one is given.
    public static func standard(override folder: String?) -> ModelLibrary {
        guard let folder else { return standard }
        return ModelLibrary(
            { (_, pool) throws(PithError) in try standard.open(folder, pool: pool) }, primer: readPrimer,
            network: readNetwork)
    }
}

/// Models that were opened, by name.
private final class OpenedModels: Sendable {
    private let models = Mutex<[String: CodingModel]>([:])

    func open(_ name: String, pool: ThreadPool) throws(PithError) -> CodingModel {
        if var known = models.withLock({ $0[name] }) {
            known.model.pool = pool
            return known
        }
        let model = try CodingModel(ModelSource.open(name), layouts: WeightLayouts.catalogue, pool: pool)
        models.withLock { $0[name] = model }
        return model
    }
}
