//! The attribute of `floodgate-sdk`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, FnArg, ItemFn};

/// Makes a function the crate's handler.
///
/// It takes `&Event` and, if it wants, a second argument that implements `Deserialize`:
/// the parameters that the source's configuration gives the handler. A source whose parameters are
/// not of that type cannot bind it. It returns `Result<Outcome, E>` where `E: Display`; an error is a
/// fault of the handler, and the source's `on_fault` says what happens then.
///
/// The function itself stays as it is, so that tests call it. A crate has one handler.
#[proc_macro_attribute]
pub fn handler(arguments: proc_macro::TokenStream, item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    expand(arguments.into(), item.into()).unwrap_or_else(Error::into_compile_error).into()
}

fn expand(arguments: TokenStream, item: TokenStream) -> Result<TokenStream, Error> {
    if !arguments.is_empty() {
        return Err(Error::new_spanned(arguments, "`handler` takes no arguments"));
    }
    let function: ItemFn = syn::parse2(item)?;
    check(&function)?;
    let name = &function.sig.ident;
    let (run, check) = match function.sig.inputs.get(1) {
        Some(FnArg::Typed(params)) => {
            let params = &params.ty;
            (quote!(run_with), quote!(check_as::<#params>))
        }
        _ => (quote!(run), quote!(check)),
    };
    Ok(quote! {
        #[cfg_attr(not(any(test, target_arch = "wasm32")), allow(dead_code))]
        #function

        #[cfg(target_arch = "wasm32")]
        const _: () = {
            struct Component;

            impl ::floodgate_sdk::glue::Guest for Component {
                fn handle(
                    event: ::floodgate_sdk::glue::WitEvent,
                ) -> ::core::result::Result<::floodgate_sdk::glue::WitOutcome, ::std::string::String> {
                    ::floodgate_sdk::glue::#run(event, #name)
                }

                fn check(
                    params: ::std::string::String,
                ) -> ::core::result::Result<(), ::std::string::String> {
                    ::floodgate_sdk::glue::#check(&params)
                }
            }

            ::floodgate_sdk::glue::export!(Component with_types_in ::floodgate_sdk::glue::bindings);
        };
    })
}

/// Types are left to the compiler, which names them; what it would say badly is said here.
fn check(function: &ItemFn) -> Result<(), Error> {
    let signature = &function.sig;
    if let Some(keyword) = &signature.asyncness {
        return Err(Error::new_spanned(
            keyword,
            "a handler is not async: there is nothing it could wait for",
        ));
    }
    if !signature.generics.params.is_empty() {
        return Err(Error::new_spanned(&signature.generics, "a handler has no generic parameters"));
    }
    if !(1..=2).contains(&signature.inputs.len()) {
        return Err(Error::new_spanned(
            signature,
            "a handler takes `&Event` and, if it wants, its parameters: `fn name(event: &Event, params: Params)`",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(item: TokenStream) -> String {
        expand(TokenStream::new(), item).unwrap_err().to_string()
    }

    #[test]
    fn odd_functions_are_refused() {
        assert!(
            refusal(quote!(
                async fn h(event: &Event) -> R {}
            ))
            .contains("async")
        );
        assert!(
            refusal(quote!(
                fn h() -> R {}
            ))
            .contains("&Event")
        );
        assert!(
            refusal(quote!(
                fn h(a: A, b: B, c: C) -> R {}
            ))
            .contains("&Event")
        );
        assert!(
            refusal(quote!(
                fn h<T>(event: &Event) -> R {}
            ))
            .contains("generic")
        );
    }

    #[test]
    fn parameters_are_optional() {
        let glue = |item| expand(TokenStream::new(), item).unwrap().to_string();
        assert!(
            glue(quote!(
                fn h(event: &Event) -> R {}
            ))
            .contains("glue :: run (event , h)")
        );
        assert!(
            glue(quote!(
                fn h(event: &Event, params: P) -> R {}
            ))
            .contains("glue :: run_with (event , h)")
        );
        assert!(
            glue(quote!(
                fn h(event: &Event, params: P) -> R {}
            ))
            .contains("glue :: check_as :: < P >")
        );
    }
}
