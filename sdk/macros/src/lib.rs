//! The attribute `#[floodgate_sdk::handler]`. Use it through `floodgate-sdk`, which re-exports it.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, FnArg, ItemFn};

/// Makes a function the handler of its crate. A crate has one handler.
///
/// ```ignore
/// #[floodgate_sdk::handler]
/// fn name(event: &Event, params: Params) -> Result<Outcome, Error>
/// ```
///
/// - `event: &Event` is the webhook.
/// - `params` may be left out. Its type implements `Deserialize`, and it is what the source's binding gives
///   the handler as `params`: a JSON object of up to 64 KiB. The relay runs this check before it stores a
///   binding, and refuses parameters that are not of this type. With `#[serde(deny_unknown_fields)]` a
///   misspelt field is refused too. A handler without the argument accepts no parameters.
/// - The error is any type that implements `Display`. An error is a fault of kind `error` with that text, and
///   the binding's `on_fault` says what happens to the event: `quarantine` stores it and does not deliver it,
///   `reject` answers 500, `pass` lets it continue as if the handler were not there. A panic is a fault of
///   kind `trap`.
///
/// The function itself stays as it is, so that native tests call it. For the target `wasm32-wasip2` the
/// attribute also exports it as the world `floodgate:handler/checked-handler`.
///
/// It does not compile on a function that is `async`, has generic parameters, or takes no event.
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

            ::floodgate_sdk::glue::export!(Component with_types_in ::floodgate_sdk::bindings);
        };
    })
}

/// Refuses what the compiler would report badly, in the generated code. Wrong types it reports well.
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
