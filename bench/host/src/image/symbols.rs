//! The functions of an image, by address.

use std::path::Path;

use anyhow::{Context, Result};
use object::{Object, ObjectSection, ObjectSymbol, SectionKind, SymbolKind};

/// The functions of an ELF file, and its code.
pub struct Symbols {
    /// Sorted by address.
    functions: Vec<Function>,
    /// The sections with code: first address, bytes.
    code: Vec<(u64, Vec<u8>)>,
}

struct Function {
    address: u64,
    /// 0 where assembly code did not say.
    size: u64,
    name: String,
}

impl Symbols {
    /// Reads the symbol table of `image`.
    pub fn read(image: &Path) -> Result<Self> {
        let bytes =
            std::fs::read(image).with_context(|| format!("{} cannot be read", image.display()))?;
        let file = object::File::parse(&*bytes)
            .with_context(|| format!("{} is no ELF file", image.display()))?;
        let functions = file
            .symbols()
            .filter(|symbol| {
                symbol.is_definition()
                    && matches!(symbol.kind(), SymbolKind::Text | SymbolKind::Unknown)
            })
            .filter_map(|symbol| {
                let name = format!("{:#}", rustc_demangle::demangle(symbol.name().ok()?));
                Some(Function {
                    address: symbol.address(),
                    size: symbol.size(),
                    name,
                })
            })
            .collect();
        let code = file
            .sections()
            .filter(|section| section.kind() == SectionKind::Text)
            .filter_map(|section| Some((section.address(), section.data().ok()?.to_vec())))
            .collect();
        Ok(Self::sorted(functions, code))
    }

    fn sorted(mut functions: Vec<Function>, code: Vec<(u64, Vec<u8>)>) -> Self {
        functions.sort_by_key(|function| function.address);
        Self { functions, code }
    }

    /// Of made-up functions (address, size, name) and code.
    #[cfg(test)]
    pub(crate) fn of_parts(functions: Vec<(u64, u64, String)>, code: Vec<(u64, Vec<u8>)>) -> Self {
        let function = |(address, size, name)| Function {
            address,
            size,
            name,
        };
        Self::sorted(functions.into_iter().map(function).collect(), code)
    }

    /// The function that `address` lies in, and how far: `pagemark::main+0x12`.
    pub fn name(&self, address: u64) -> Option<String> {
        let function = self.find(address)?;
        let offset = address - function.address;
        Some(format!("{}+{offset:#x}", function.name))
    }

    /// The function that `address` lies in.
    pub fn function_name(&self, address: u64) -> Option<&str> {
        Some(&self.find(address)?.name)
    }

    /// The first address of the function that `address` lies in.
    pub fn function(&self, address: u64) -> Option<u64> {
        self.find(address).map(|function| function.address)
    }

    /// Where the function lies whose path ends in `name`.
    pub fn named(&self, name: &str) -> Option<std::ops::Range<u64>> {
        let is_it = |function: &&Function| {
            let path = function.name.strip_suffix(name);
            path.is_some_and(|path| path.is_empty() || path.ends_with("::"))
        };
        let function = self.functions.iter().find(is_it)?;
        Some(function.address..function.address + function.size)
    }

    /// The `bytes` bytes of code from `address` on.
    pub fn code(&self, address: u64, bytes: usize) -> Option<&[u8]> {
        self.code.iter().find_map(|(start, code)| {
            let at = usize::try_from(address.checked_sub(*start)?).ok()?;
            code.get(at..)?.get(..bytes)
        })
    }

    fn find(&self, address: u64) -> Option<&Function> {
        let after = self
            .functions
            .partition_point(|function| function.address <= address);
        let function = self.functions[..after].last()?;
        let offset = address - function.address;
        (function.size == 0 || offset < function.size).then_some(function)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_named_by_the_function_it_lies_in() {
        let function = |address, size, name: &str| Function {
            address,
            size,
            name: name.to_owned(),
        };
        let symbols = Symbols::sorted(
            vec![
                function(0x300, 0, "asm"),
                function(0x100, 0x10, "first"),
                function(0x200, 8, "second"),
            ],
            Vec::new(),
        );
        let cases = [
            (0xff, None),
            (0x100, Some("first+0x0")),
            (0x10f, Some("first+0xf")),
            (0x110, None),
            (0x207, Some("second+0x7")),
            (0x304, Some("asm+0x4")),
        ];
        for (address, name) in cases {
            assert_eq!(symbols.name(address).as_deref(), name, "{address:#x}");
        }
        assert_eq!(symbols.named("second"), Some(0x200..0x208));
        assert_eq!(symbols.named("econd"), None);
    }

    #[test]
    fn names_are_those_of_the_source() {
        let symbols = Symbols::read(&std::env::current_exe().unwrap()).unwrap();
        let own = |function: &Function| {
            function.name.contains("symbols::Symbols") && function.name.ends_with("::read")
        };
        assert!(symbols.functions.iter().any(own));
    }
}
