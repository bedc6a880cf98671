import PithCore

/// A hub of models in the manner of Hugging Face, and the cache that its files are kept in.
public struct ModelHub: Sendable {
    /// Where it is.
    public let settings: HubSettings
    /// Where its files are kept.
    public let cache: HubCache
    private let report: @Sendable (HubEvent) -> Void

    /// A hub; `report` is told how far the work is, by several threads.
    public init(_ settings: HubSettings, report: @escaping @Sendable (HubEvent) -> Void = { _ in }) {
        (self.settings, self.report) = (settings, report)
        cache = HubCache(root: settings.cache)
    }

    /// What a pull does.
    public struct Plan: Sendable {
        /// What was asked for.
        public let address: RepositoryAddress
        /// The commit that its revision stands for.
        public let commit: String
        /// The files that are chosen, and whether each is in the cache.
        public let files: [(file: HubFile, isThere: Bool)]
        /// The folder that they are in afterwards.
        public let folder: String

        /// Bytes of what is not in the cache.
        public var missingBytes: Int { files.reduce(0) { $0 + ($1.isThere ? 0 : $1.file.size) } }
    }

    // MARK: Plan

    /// Asks the hub which files `selection` stands for, and looks which of them are in the cache; without the hub, if
    /// the settings say so, what the cache has. Throws what the hub refuses, or what cannot be chosen.
    public func plan(_ address: RepositoryAddress, _ selection: FileSelection = FileSelection()) throws(PithError)
        -> Plan
    {
        guard !settings.isOffline else { return try cachedPlan(address, selection) }
        let client = try HubClient(settings, report: report)
        let (commit, names) = try client.revision(address)
        if let names, let plan = try cachedPlan(names, address, commit, selection) { return plan }
        let files = try selection.choose(from: client.files(of: address, at: commit), of: address)
        return plan(files, address, commit)
    }

    private func plan(_ files: [HubFile], _ address: RepositoryAddress, _ commit: String) -> Plan {
        let folder = cache.snapshot(address, commit)
        let states = files.map { ($0, isThere: cache.size(joinPath(folder, $0.path)) == $0.size) }
        return Plan(address: address, commit: commit, files: states, folder: folder)
    }

    /// The plan for files of these names if the cache has all that are chosen.
    private func cachedPlan(
        _ names: [String], _ address: RepositoryAddress, _ commit: String, _ selection: FileSelection
    ) throws(PithError) -> Plan? {
        let folder = cache.snapshot(address, commit)
        let files = names.map { HubFile(path: $0, size: cache.size(joinPath(folder, $0)) ?? -1) }
        guard let chosen = try? selection.choose(from: files, of: address), chosen.allSatisfy({ $0.size >= 0 }) else {
            return nil
        }
        return plan(chosen, address, commit)
    }

    /// The plan for what the cache has.
    private func cachedPlan(_ address: RepositoryAddress, _ selection: FileSelection) throws(PithError) -> Plan {
        guard let commit = cache.commit(address), Files.isFolder(cache.snapshot(address, commit)) else {
            throw .data(
                "is not in the cache, and HF_HUB_OFFLINE lets no hub be asked", at: "\(address)",
                remedy: "unset it, or look into \(settings.cache)")
        }
        let names = try cache.files(address, commit)
        let folder = cache.snapshot(address, commit)
        let files = names.map { HubFile(path: $0, size: cache.size(joinPath(folder, $0)) ?? 0) }
        return plan(try selection.choose(from: files, of: address), address, commit)
    }

    // MARK: Pull

    /// Fetches what a plan says is missing and returns the folder with the files. What is there already, if only in
    /// part, is not fetched again, also where a pull before was ended or failed.
    @discardableResult
    public func pull(_ plan: Plan) throws(PithError) -> String {
        guard !settings.isOffline else { return plan.folder }
        let missing = plan.files.filter { !$0.isThere }.map(\.file)
        try cache.makeFolders(plan.address)
        if !missing.isEmpty {
            let lock = try cache.lock(plan.address, settings.transfer, report)
            let pull = Pull(settings, cache, plan.address, plan.commit, report)
            try withExtendedLifetime(lock) { () throws(PithError) in try pull.fetch(missing) }
        }
        try cache.note(plan.commit, plan.address)
        return plan.folder
    }
}
