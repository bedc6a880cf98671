import PithCore
func importLlama2C(model: String, tokenizer: String, into: String) throws(PithError) {}
