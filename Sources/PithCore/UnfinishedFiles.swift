import Foundation
import Synchronization

/// What is being written: a program that is stopped in the middle leaves none of it behind.
public enum UnfinishedFiles {
    private struct State {
        var entries: [Int: (folder: FolderHandle, name: BytePath)] = [:]
        var next = 0
        var isEnding = false
    }
    private static let state = Mutex(State())

    /// Notes what is about to be made at `name`; the number takes it back.
    static func add(_ name: BytePath, in folder: FolderHandle) -> Int {
        let number: Result<Int, Never> = unlessEnding { state in
            state.next += 1
            state.entries[state.next] = (folder, name)
            return .success(state.next)
        }
        return number.get()
    }

    static func remove(_ number: Int) { state.withLock { _ = $0.entries.removeValue(forKey: number) } }

    /// Puts what is finished in its place; never once the program ends.
    static func finish(_ place: () throws(PithError) -> Void) throws(PithError) {
        let result: Result<Void, PithError> = unlessEnding { _ in
            Result { () throws(PithError) in try place() }
        }
        try result.get()
    }

    /// Does `body` under the lock; while the program ends, it waits for that.
    private static func unlessEnding<Value, Failure: Error>(
        _ body: (inout State) -> Result<Value, Failure>
    ) -> Result<Value, Failure> {
        while true {
            if let result = state.withLock({ $0.isEnding ? nil : body(&$0) }) { return result }
            sleep(1)
        }
    }

    /// Removes all of it from the disk. Nothing is finished from then on: the program must end.
    public static func removeAll() {
        let entries = state.withLock { state in
            state.isEnding = true
            return Array(state.entries.values)
        }
        for (folder, name) in entries {
            if (try? folder.occupant(name)) == .folder {
                try? Files.remove(folder.path.appending(name).systemText)
            } else {
                try? folder.remove(name)
            }
        }
    }
}

/// Names for what is not whole yet: short whatever it will be called, and not to be guessed.
enum TemporaryName {
    static func next() -> BytePath {
        BytePath(".pith-" + String(UInt64.random(in: .min ... .max), radix: 16) + ".part")
    }
}
